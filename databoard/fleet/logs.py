"""The logs of all hosts as one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from threading import Lock

from databoard.fleet import shell
from databoard.fleet.connect import Unreachable, opened, side_by_side
from databoard.fleet.inventory import Host, Target
from databoard.fleet.machine import readable

# With --follow, tail ends with the SSH session: sshd does not end it, as it has no terminal.
LOGS = """
cd "$home" 2>/dev/null || cd /
session=$$
while [ "$session" -gt 1 ] && [ "$(cat /proc/$session/comm)" != sshd ]; do
    session=$(awk '/^PPid/ { print $2 }' /proc/$session/status)
done
[ "$session" -gt 1 ] || session=$$
show() { # NAME FILE
    [ -e "$2" ] || return 0
    if [ "$follows" = 1 ]; then
        tail -n "$lines" --pid="$session" -F "$2" 2>/dev/null | sed -u "s/^/$1 /" &
    else
        tail -n "$lines" "$2" | sed "s/^/$1 /"
    fi
}
[ "$is_web" = 0 ] || show apache /var/log/apache2/error.log
show web log/web.log
show worker log/worker.log
wait
"""
APACHE_TIME = re.compile(r"\[\w{3} (\w{3} \d\d \d\d:\d\d:\d\d)\.(\d+) (\d{4})\]")
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def read(target: Target, lines: int) -> tuple[list[str], dict[Host, str]]:
    """The last lines of each log, prefixed and in the order of their times; and what failed."""
    found: list[tuple[str, str]] = []
    failures = _each(target, lines, False, lambda host, line: found.append((host.name, line)))
    times: dict[tuple[str, str], str] = {}
    dated = []
    for name, line in found:
        log = line.partition(" ")[0]
        # a line without a time, as in a traceback, belongs to the one before it
        time = times[name, log] = time_of(line) or times.get((name, log), "")
        dated.append((time, name, line))
    dated.sort(key=lambda each: each[0])  # stable: lines of one log keep their order
    return [f"{name} {line}" for _, name, line in dated], failures


def follow(target: Target, lines: int, sink: Callable[[str], None]) -> dict[Host, str]:
    """Give each line to `sink` as it is written, until all connections end."""
    return _each(target, lines, True, lambda host, line: sink(f"{host.name} {line}"))


def _each(
    target: Target, lines: int, follows: bool, sink: Callable[[Host, str], None]
) -> dict[Host, str]:
    lock, failures = Lock(), {}

    with opened(target) as machines:

        def on(host: Host) -> None:
            machine = machines[host]
            if isinstance(machine, Unreachable):
                failures[host] = str(machine)
                return
            values = {
                "home": host.home,
                "lines": lines,
                "follows": int(follows),
                "is_web": int("web" in host.roles and target.connection == "ssh"),
            }
            splitter = Lines()

            def take(chunk: bytes) -> None:
                with lock:
                    for line in splitter.add(chunk):
                        sink(host, line)

            output = machine.run(shell.assign(values) + LOGS, sink=take)
            if output.code:
                failures[host] = f"exit code {output.code}"

        side_by_side(on, target.hosts)
    return failures


class Lines:
    """Cuts what comes in pieces into lines that are safe on a terminal."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, chunk: bytes) -> list[str]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [readable(line) for line in whole]

    @property
    def is_open(self) -> bool:
        """Whether the last line has not ended yet."""
        return bool(self._rest)


def time_of(line: str) -> str:
    """The time in a line as ISO text with microseconds; empty when it has none."""
    if found := APACHE_TIME.search(line):
        day = datetime.strptime(f"{found[3]} {found[1]}", "%Y %b %d %H:%M:%S")
        return f"{day:%Y-%m-%dT%H:%M:%S}.{found[2]}"
    if iso := ISO_TIME.search(line):
        return iso[0].replace(" ", "T")
    return ""
