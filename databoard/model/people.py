"""Users, teams and who is in them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from databoard.model.base import Base, Named, db_now

ACCESS_LEVELS = ("not_confirmed", "asked", "user", "admin")


class User(Named):
    """A person who can log in. `asked` waits for an admin's approval."""

    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint(f"access_level IN {ACCESS_LEVELS}", name="access_level"),
        CheckConstraint("length(name) > 0", name="name"),
        CheckConstraint("email = lower(email)", name="email"),
    )

    email: Mapped[str] = mapped_column(String(254), unique=True)
    firstname: Mapped[str] = mapped_column(String(100), default="")
    lastname: Mapped[str] = mapped_column(String(100), default="")
    password_hash: Mapped[str | None] = mapped_column(String(200))
    access_level: Mapped[str] = mapped_column(String(20), default="asked")
    hidden_notes: Mapped[str] = mapped_column(Text, default="")  # for admins alone
    created_at: Mapped[datetime] = mapped_column(default=db_now())


class Team(Named):
    """Who competes. Every user has a team of the same name."""

    __tablename__ = "team"
    __table_args__ = (CheckConstraint("length(name) > 0", name="name"),)

    created_at: Mapped[datetime] = mapped_column(default=db_now())

    members: Mapped[list[User]] = relationship(secondary="team_member")


class TeamMember(Base):
    """A user in a team."""

    __tablename__ = "team_member"

    team_id: Mapped[int] = mapped_column(
        ForeignKey("team.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SentMail(Base):
    """A mail that has gone out: what was begun twice is not sent twice.

    `occasion` tells apart mails of one kind, such as those of two batches.
    """

    __tablename__ = "sent_mail"
    __table_args__ = (UniqueConstraint("user_id", "kind", "occasion"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    occasion: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime] = mapped_column(default=db_now())


class AccessToken(Base):
    """What a user's programs log in with. The token itself is shown once, and is not stored."""

    __tablename__ = "access_token"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        CheckConstraint("length(name) > 0", name="name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the token
    created_at: Mapped[datetime] = mapped_column(default=db_now())
    last_used_at: Mapped[datetime | None]
