"""Messages between the worker and the processes it starts: JSON over a Unix socket.

A message keeps its boundary (SOCK_SEQPACKET) and may carry open files. Linux only.
"""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

LIMIT = 4 * 1024**2
Message = dict[str, Any]


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """One end of a socket pair, used by one thread that waits; any may send."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LIMIT)

    def send(self, message: Message, files: Sequence[int] = ()) -> None:
        """Send a message and descriptors. Raises ChannelClosed."""
        try:
            socket.send_fds(self.socket, [json.dumps(message).encode()], files)
        except OSError as error:
            raise ChannelClosed from error

    def receive(self) -> tuple[Message, list[int]]:
        """The next message and its descriptors, which are the caller's to close.

        Raises ChannelClosed at the end.
        """
        try:
            data, files, _, _ = socket.recv_fds(self.socket, LIMIT, 4)
        except ConnectionError as error:
            raise ChannelClosed from error
        if not data:
            raise ChannelClosed
        return json.loads(data), list(files)


class Caller:
    """The worker's end: many requests under way, each answered by its number."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._channel = Channel(end)
        self._answers: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}
        self._next = 0
        self.is_open = True
        asyncio.get_running_loop().add_reader(end.fileno(), self._read)

    def begin(self, message: Message, files: Sequence[int] = ()) -> int:
        """Send a request; returns its number, for `answer`. Raises ChannelClosed."""
        self._next += 1
        self._answers[self._next] = asyncio.get_running_loop().create_future()
        try:
            self._channel.send(message | {"id": self._next}, files)
        except ChannelClosed:
            self.close()
            raise
        return self._next

    async def answer(self, number: int) -> tuple[Message, list[int]]:
        """Wait for the answer to a request. Raises ChannelClosed."""
        try:
            return await self._answers[number]
        finally:
            self._answers.pop(number, None)

    async def call(self, message: Message, files: Sequence[int] = ()) -> tuple[Message, list[int]]:
        """Send a request and wait for its answer. Raises ChannelClosed."""
        return await self.answer(self.begin(message, files))

    def tell(self, message: Message) -> None:
        """Send what has no answer. Raises ChannelClosed."""
        self._answers.pop(self.begin(message))

    def close(self) -> None:
        """Close this end; whoever waits gets ChannelClosed."""
        if not self.is_open:
            return
        self.is_open = False
        asyncio.get_running_loop().remove_reader(self._channel.socket.fileno())
        self._channel.socket.close()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ChannelClosed())
                answer.exception()  # seen, though perhaps nobody waits for it

    def _read(self) -> None:
        try:
            message, files = self._channel.receive()
        except BlockingIOError:
            return
        except ChannelClosed:
            self.close()
            return
        answer = self._answers.get(message["id"])
        if answer is not None and not answer.done():
            answer.set_result((message, files))
        else:
            for file in files:
                os.close(file)


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
