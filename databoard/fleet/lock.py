"""The lock of a host: held by a living process there, so it ends with whoever held it.

`flock` keeps others out. The holder is a script at the other end of our connection; it ends when
the connection does, or after some seconds without a sign of life. `lock.owner` tells who it is.

`rollout.before` names the release that a rollout began from. It is removed when the rollout has
ended well or was undone; where it is left, a rollout was cut off, and that release is the one to
go back to.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Event, Thread

from databoard.errors import DataboardError
from databoard.fleet.connect import side_by_side
from databoard.fleet.inventory import Host
from databoard.fleet.machine import Held, Machine
from databoard.fleet.shell import assign

SIGNS = 4  # of life, in the time after which an owner that gives none is given up

HOLD = """
mkdir -p "$home/log"; cd "$home"
exec 9>>lock 8>>busy
# of a killed owner the lock is free in a moment; of one that was cut off, once it is given up
age=$(($(date +%s) - $(stat -c %Y lock.pid 2>/dev/null || echo 0)))
patience=2; [ "$age" -le $((silence / 2)) ] || patience=$((silence + 2))
if ! flock -w "$patience" 9; then echo "@taken $(cat lock.owner 2>/dev/null)"; exit 0; fi
# what a rollout that was cut off still does here, it does to its end
if ! flock -w 60 8; then echo "@busy $(cat lock.owner 2>/dev/null)"; exit 0; fi
flock -u 8
printf '%s\\n' "$owner" >lock.owner.new; mv lock.owner.new lock.owner
printf '%s\\n' "$$" >lock.pid
if [ "$is_rollout" = 1 ] && [ ! -e rollout.before ]; then
    release=$(readlink current || true); printf '%s\\n' "${release##*/}" >rollout.before
fi
echo "@held $(cat rollout.before 2>/dev/null || true)"
while IFS= read -r -t "$silence" line; do
    case $line in
    done) rm -f rollout.before lock.owner lock.pid; exit 0 ;;
    leave) rm -f lock.owner lock.pid; exit 0 ;;
    esac
    touch lock.pid
done
"""

# Before each step: only the owner of the lock goes on, and the lock's next owner waits for it.
GUARD = """
cd "$home"; exec 8>>busy; flock -s 8
grep -qF "\\"id\\": \\"$id\\"" lock.owner 2>/dev/null || { echo "The lock was lost."; exit 76; }
audit() { printf '{"at": "%s", %s, %s}\\n' "$(date -u +%FT%TZ)" "$line" "$1" >>log/audit.jsonl; }
audit '"is": "begun"'
"""

BREAK = """
cd "$home" 2>/dev/null || exit 0
pid=$(cat lock.pid 2>/dev/null || true)
cat lock.owner 2>/dev/null || true
[ "$only_look" = 0 ] || exit 0
if [ -n "$pid" ] && ! flock -n lock true; then kill "$pid"; flock -w 10 lock true; fi
rm -f lock.owner lock.pid
"""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    id: str  # of what is done; unique
    what: str
    who: str
    since: str

    @classmethod
    def me(cls, what: str) -> Owner:
        now = datetime.now(UTC)
        user = pwd.getpwuid(os.geteuid()).pw_name
        return cls(
            id=f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}",
            what=what,
            who=f"{os.environ.get('SUDO_USER') or user}@{socket.gethostname()}",
            since=f"{now:%Y-%m-%d %H:%M:%S} UTC",
        )

    @classmethod
    def told(cls, text: str) -> Owner | None:
        """The owner that a host has written down."""
        with suppress(ValueError, TypeError):
            return cls(**json.loads(text))
        return None


class Locked(DataboardError):
    """Somebody else works on a host."""

    def __init__(self, host: Host, text: str) -> None:
        owner = Owner.told(text)
        who = f"{owner.who} since {owner.since}: {owner.what}" if owner else "somebody"
        super().__init__(
            f"{host.name} is locked by {who}.",
            "Wait for it. If it is gone for good: inv unlock",
        )


class Locks:
    """The locks of all hosts, taken all or none, and kept until they are released."""

    def __init__(
        self,
        machines: Mapping[Host, Machine],
        owner: Owner,
        silence: float,
        is_rollout: bool = False,
    ) -> None:
        self._silence = int(silence)
        self.owner = owner
        self.before: dict[Host, str] = {}  # the release to go back to; empty: none
        self._is_rollout = is_rollout
        self._held: dict[Host, Held] = {}
        self._ended = Event()
        # Whoever has the first host goes on to the others: of two at once, one wins.
        first, *others = sorted(machines, key=lambda host: host.name)
        for batch in ([first], others):
            self._take({host: machines[host] for host in batch})
        Thread(target=self._give_signs, daemon=True).start()

    def _take(self, machines: Mapping[Host, Machine]) -> None:
        hosts = list(machines)
        answers = side_by_side(lambda host: self._hold(machines[host]), hosts)
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, DataboardError):
                self.release(is_done=False)
                raise answer
            self._held[host], self.before[host] = answer

    def _hold(self, machine: Machine) -> tuple[Held, str] | DataboardError:
        values = {
            "home": machine.host.home,
            "owner": json.dumps(asdict(self.owner)),
            "is_rollout": int(self._is_rollout),
            "silence": self._silence,
        }
        try:
            held = machine.hold(assign(values) + HOLD)
        except DataboardError as error:
            return error
        answer, _, rest = held.first_line.partition(" ")
        if answer == "@held":
            return held, rest.strip()
        held.close()
        if answer in ("@taken", "@busy"):
            return Locked(machine.host, rest)
        return DataboardError(f"{machine.host.name} cannot be locked: {held.first_line}.")

    def release(self, is_done: bool, hosts: Iterable[Host] | None = None) -> None:
        """Let go; unless `is_done`, the host remembers that a rollout was cut off."""
        for host in list(self._held if hosts is None else hosts):
            if held := self._held.pop(host, None):
                with suppress(OSError, EOFError):
                    held.write("done" if is_done else "leave")
                held.close()
        if not self._held:
            self._ended.set()

    def _give_signs(self) -> None:
        while not self._ended.wait(self._silence / SIGNS):
            for held in list(self._held.values()):
                with suppress(OSError, EOFError):
                    held.write("")
