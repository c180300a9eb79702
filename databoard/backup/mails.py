"""Finding the mail addresses of people in text, whatever stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

_NAME = re.compile(rb"[^\s@\"'<>()\[\],;:\\]+\Z")
_DOMAIN = re.compile(rb"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
CHUNK = 1 << 20
LONGEST = 1000  # bytes that an address may have: 254 characters


class Addresses:
    """Addresses, each with what stands for it; capitals do not matter."""

    def __init__(self, stand_ins: Mapping[str, str]) -> None:
        self._names: dict[bytes, dict[bytes, bytes]] = {}
        for address, stand_in in stand_ins.items():
            name, _, domain = address.lower().encode().rpartition(b"@")
            self._names.setdefault(domain, {})[name] = stand_in.encode()

    def find(self, text: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Where each address begins and ends, and what stands for it."""
        at = -1
        while (at := text.find(b"@", at + 1)) >= 0:
            name = _NAME.search(text, max(0, at - LONGEST), at)
            domain = _DOMAIN.match(text, at + 1, at + LONGEST)
            if name and domain:
                yield from self._known(at, name[0].lower(), domain[0].lower())

    def _known(self, at: int, name: bytes, domain: bytes) -> Iterator[tuple[int, int, bytes]]:
        # `to=ada@example.org.` holds ada@example.org: a shorter name, and a shorter domain
        while domain not in self._names and b"." in domain:
            domain = domain.rpartition(b".")[0]
        names = self._names.get(domain, {})
        for start in range(len(name)):
            if name[start:] in names:
                yield at - len(name) + start, at + 1 + len(domain), names[name[start:]]
                return

    def replace(self, text: str) -> str:
        """The text with what stands for each address."""
        data, done, parts = text.encode(), 0, []
        for start, end, stand_in in self.find(data):
            parts += [data[done:start], stand_in]
            done = end
        return b"".join([*parts, data[done:]]).decode()

    def first_in(self, file: BinaryIO) -> str | None:
        """The first address in a file, however large; None: there is none."""
        rest = b""
        while chunk := file.read(CHUNK):
            text = rest + chunk
            if b"@" in text:
                for start, end, _ in self.find(text):
                    return text[start:end].decode(errors="replace")
            rest = text[-LONGEST:]
        return None
