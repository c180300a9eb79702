"""How pages say things: times, numbers, sizes, and what was refused."""

from __future__ import annotations

import re
from datetime import datetime

from flask import Blueprint

from databoard.errors import DataboardError

blueprint = Blueprint("words", __name__)
_COMMAND = re.compile(r"[^.:]*(\binv |--\w)[^.]*\.?")  # a hint for those who have a shell there


def explained(error: DataboardError) -> tuple[str, str]:
    """Its message, and its hint unless that is a command of admins."""
    return error.message, "" if _COMMAND.search(error.hint or "") else error.hint or ""


@blueprint.app_template_filter()
def moment(time: datetime | None) -> str:
    """To the minute, in UTC."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


@blueprint.app_template_filter()
def since(time: datetime, now: datetime) -> str:
    """`3 minutes ago`, `in 2 days`."""
    seconds = int((now - time).total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = abs(seconds) // length
        if count:
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now" if seconds >= 0 else "in a moment"


@blueprint.app_template_filter()
def duration(seconds: float | None) -> str:
    """`12.3 s`, `4 min 5 s`."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min")] if hours else [(minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


@blueprint.app_template_filter()
def words(state: str) -> str:
    """`training_error` as `training error`."""
    return state.replace("_", " ")
