"""The files of a submission, as pages show them: coloured, compared, zipped."""

from __future__ import annotations

import difflib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from databoard.config import Settings
from databoard.files import open_plain
from databoard.model.submission import Submission
from databoard.submissions import files_of

MAX_SHOWN = 200_000  # bytes of a file: what is larger is only downloaded
MAX_LINES = 4_000  # of two files that are compared
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can tell


@dataclass(frozen=True)
class CodeFile:
    """A file of a submission."""

    name: str
    content: bytes

    @property
    def text(self) -> str | None:
        """Its text; None where it cannot be shown."""
        if len(self.content) > MAX_SHOWN:
            return None
        try:
            text = self.content.decode()
        except UnicodeDecodeError:
            return None
        return None if "\0" in text else text

    @property
    def coloured(self) -> Markup | None:
        """The same with an element around each token."""
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_for_filename
        from pygments.util import ClassNotFound

        if self.text is None:
            return None
        try:
            lexer = get_lexer_for_filename(self.name, stripnl=False)
        except ClassNotFound:
            return escape(self.text)
        return Markup(highlight(self.text, lexer, HtmlFormatter(nowrap=True)))  # noqa: S704


def files(settings: Settings, submission: Submission) -> list[CodeFile]:
    """All plain files of a submission, by name; no links are followed."""
    folder = files_of(settings, submission)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    read = ((name, _read(folder / name)) for name in names)
    return [CodeFile(name, content) for name, content in read if content is not None]


def _read(path: Path) -> bytes | None:
    try:
        file = open_plain(path)
    except OSError:
        return None
    if file is None:
        return None
    with file:
        return file.read()


def zipped(name: str, found: list[CodeFile]) -> bytes:
    """A zip of files, in a folder of that name; of equal files the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in found:
            archive.writestr(zipfile.ZipInfo(f"{name}/{file.name}", EARLIEST), file.content)
    return made.getvalue()


@dataclass(frozen=True)
class Line:
    """A line of a comparison: `kind` is same, old, new, or gap."""

    kind: str
    text: str
    before: int | None = None
    after: int | None = None


def compared(old: str, new: str) -> list[Line] | None:
    """The lines that differ, with three around them; None where there are too many."""
    a, b = old.splitlines(), new.splitlines()
    if len(a) + len(b) > MAX_LINES:
        return None
    return list(_compared(a, b))


def _compared(a: list[str], b: list[str]) -> Iterator[Line]:
    groups = difflib.SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(3)
    for number, group in enumerate(groups):
        if number:
            yield Line("gap", "")
        for kind, i, i_end, j, j_end in group:
            if kind == "equal":
                yield from (Line("same", a[i + k], i + k + 1, j + k + 1) for k in range(i_end - i))
                continue
            yield from (Line("old", a[k], k + 1) for k in range(i, i_end))
            yield from (Line("new", b[k], None, k + 1) for k in range(j, j_end))
