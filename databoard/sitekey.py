"""The key of a site: it signs sessions, and the links in mails."""

from __future__ import annotations

import secrets
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from databoard.database import reading, session_scope
from databoard.model.site import SiteKey

NAME = "web"


def site_key(engine: Engine) -> str:
    """The key, which is made when it is asked for first; all processes have the same."""
    own = select(SiteKey.value).where(SiteKey.name == NAME)
    with reading(engine) as session:
        if value := session.scalar(own):
            return value
    try:
        with session_scope(engine) as session:
            session.add(SiteKey(name=NAME, value=secrets.token_hex(32)))
    except IntegrityError:  # somebody else has made it just now
        pass
    with reading(engine) as session:
        return str(session.scalar(own))


def sign(key: str, purpose: str, content: Any) -> str:
    """A text for a link, which says the content."""
    return URLSafeTimedSerializer(key, salt=f"databoard {purpose}").dumps(content)


def signed(key: str, purpose: str, text: str, max_age: int) -> Any:
    """The content of a signed text; None when it was not signed by us for this, or is too old."""
    try:
        return URLSafeTimedSerializer(key, salt=f"databoard {purpose}").loads(text, max_age=max_age)
    except BadData:
        return None
