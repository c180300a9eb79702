"""What the web pages of a site share, on however many machines they are served."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from databoard.model.base import Base


class SiteKey(Base):
    """The key that signs sessions and links in mails. A copy of the site gets another one."""

    __tablename__ = "site_key"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))


class BoardVersion(Base):
    """A random word that is another one whenever the boards of an event may have changed.

    Triggers see to it, in the transaction that changes them.
    """

    __tablename__ = "board_version"

    event_id: Mapped[int] = mapped_column(
        ForeignKey("event.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[str] = mapped_column(String(32))
