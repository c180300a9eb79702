"""A store of snapshots, on this machine or behind SSH.

STORE/databoard-store          says that this is one, and that its disk is mounted
STORE/<site>/<time>/           a snapshot; it is there whole, or not at all
STORE/<site>/<any>.partial/    one that is being made, or was broken off
STORE/<site>/<any>.removed/    what goes
STORE/<site>/<time>.verified   how its last verification ended
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread

from databoard.backup.place import Place
from databoard.backup.snapshot import (
    NAME,
    Snapshot,
    Verification,
    read_manifest,
    read_verification,
)
from databoard.errors import DataboardError, NotFound
from databoard.fleet import shell
from databoard.fleet.connect import Unreachable
from databoard.fleet.connect import opened as opened_machines
from databoard.fleet.machine import Machine, Output, Sink
from databoard.names import printable, suggest

PATIENCE = 20  # seconds to wait for one that is being ended
JOBS_PATIENCE = 3600  # for what cron starts: to meet the other is no failure
SIGN_OF_LIFE = 30.0  # seconds

ENTER = """
umask 077
cd "$root" 2>/dev/null && [ -e databoard-store ] || {
    echo "There is no store at $root, or its disk is not mounted."; exit 78; }
mkdir -p "$site"; cd "$site"
"""

MAKE = """
umask 077
mkdir -p "$root"; cd "$root"
[ ! -e databoard-store ] || exit 0
[ -z "$(ls -A)" ] || { echo "$root is not empty."; exit 1; }
echo "Snapshots of Databoard, kept by inv backup." >databoard-store
"""

LOCK = """
exec 9>>.lock
flock -w "$patience" $how 9 || { echo @taken; exit 0; }
echo @held
while read -r -t "$silence" line; do :; done
"""

LIST = """
one_line() { tr '\\n' ' ' 2>/dev/null <"$1" || true; }  # also of what is damaged
for folder in [0-9]*Z; do
    [ -d "$folder" ] || continue
    printf '@%s\\t%s\\t%s\\n' "$folder" "$(one_line "$folder/manifest.json")" \\
        "$(one_line "$folder.verified")"
done
"""

# Of a backup that was killed, a script may go on for a while: it must find its folder whole or not
# at all, and never one of ours, so each has a name of its own.
BEGIN = """
for left in ./*.partial; do
    mv -T "$left" "${left%.partial}.removed" 2>/dev/null || true
done
rm -rf ./*.removed || true
mkdir "$staged" "$staged/database" "$staged/files"
"""

COMMIT = """
sync -f "$staged"
mv -T "$staged" "$name"
sync -f .
"""

REMOVE = """
# under another name first: a snapshot is there whole or not at all
mv -T "$name" "$name.removed"
rm -rf "$name.removed" "$name.verified"
"""

# whoever was killed has sent nothing
MARK = """
cat >"$name.verified.new"
[ -s "$name.verified.new" ]
mv "$name.verified.new" "$name.verified"; sync -f .
"""


class StoreError(DataboardError):
    """A store that cannot be used."""


@dataclass(frozen=True)
class Store:
    """The snapshots of a site. Every method raises StoreError, and ConnectionLost."""

    machine: Machine
    place: Place
    site: str

    @property
    def folder(self) -> str:
        """Where the snapshots are, on the store's machine."""
        return f"{self.place.path}/{self.site}"

    @property
    def here(self) -> Path | None:
        """The same if it is this machine."""
        return None if self.place.host else Path(self.folder)

    def run(
        self, script: str, stdin: bytes = b"", sink: Sink | None = None, **values: object
    ) -> str:
        """Run a script in the folder of the snapshots; the store is there, or nothing is done."""
        output = self.machine.run(self._entering(values) + script, stdin, sink)
        if output.code:
            raise self._error(output)
        return output.text

    def make(self) -> None:
        """Make the store, if it is not there."""
        output = self.machine.run(shell.assign({"root": self.place.path}) + MAKE)
        if output.code:
            raise StoreError(
                f"No store can be made: {output.last}", "Name a new or an empty folder."
            )

    def snapshots(self) -> list[Snapshot]:
        """All that are whole, the oldest first."""
        found = []
        for line in self.run(LIST).split("\n"):
            name, _, rest = line.removeprefix("@").partition("\t")
            manifest, _, verified = rest.partition("\t")
            if line.startswith("@") and NAME.fullmatch(name):
                found.append(Snapshot(name, read_manifest(manifest), read_verification(verified)))
        return found

    def names(self) -> list[str]:
        """The names of the snapshots; none without a store."""
        with suppress(StoreError):
            return [each.name for each in self.snapshots()]
        return []

    def find(self, name: str) -> Snapshot:
        """The snapshot of that name; `latest`: the newest that is not damaged. Raises NotFound."""
        snapshots = self.snapshots()
        good = [each for each in snapshots if not each.is_damaged]
        for each in good[-1:] if name == "latest" else snapshots:
            if name in ("latest", each.name):
                return each
        names = [each.name for each in reversed(snapshots)]
        raise NotFound(
            f"There is no snapshot {printable(name)} in {self.place}/{self.site}.",
            suggest(name, names[:10], "The newest") if names else "Take one: inv backup",
        )

    @contextmanager
    def locked(self, shared: bool = False, patience: int | None = None) -> Iterator[None]:
        """Keep others from changing the store meanwhile; or from removing what is read.

        Others are waited for, `patience` seconds.
        """
        if self.place.is_read_only:
            yield
            return
        silence = int(SIGN_OF_LIFE * 10)
        how = {"how": "-s" if shared else "-x", "patience": patience or PATIENCE}
        held = self.machine.hold(self._entering(how | {"silence": silence}) + LOCK)
        ended = Event()

        def give_signs() -> None:
            with suppress(OSError, EOFError):
                while not ended.wait(SIGN_OF_LIFE):
                    held.write("")

        try:
            if held.first_line != "@held":
                raise self._not_locked(held.first_line)
            Thread(target=give_signs, daemon=True).start()
            yield
        finally:
            ended.set()
            with suppress(OSError, EOFError):
                held.close()

    def begin(self) -> str:
        """Make a folder for a snapshot that is to be; what was broken off before is removed.

        Returns its name; from now on no snapshot appears but by `commit`.
        """
        staged = f"{token_hex(8)}.partial"
        self.run(BEGIN, staged=staged)
        return staged

    def push(self, source: Path, path: str, options: Sequence[str] = ()) -> Output:
        """rsync the content of a folder to `path` among the snapshots."""
        before = self._entering({}) if self.place.host else ""
        return self.machine.push(source, f"{self.folder}/{path}", options, before)

    def send(self, source: Path, path: str) -> None:
        """Send the content of a folder to `path` among the snapshots."""
        output = self.push(source, path)
        if output.code:
            raise self._error(output)

    def pull(self, path: str, destination: Path, options: Sequence[str] = ()) -> None:
        """rsync the content of `path` among the snapshots to a folder here."""
        self.run("")
        output = self.machine.pull(f"{self.folder}/{path}", destination, options)
        if output.code:
            raise self._error(output)

    @contextmanager
    def fetched(self, path: str, file: str) -> Iterator[Path]:
        """A copy of one small file, meanwhile."""
        with tempfile.TemporaryDirectory(prefix="databoard-") as folder:
            self.pull(path, Path(folder), [f"--include=/{file}", "--exclude=*"])
            yield Path(folder, file)

    def commit(self, staged: str, name: str) -> None:
        """Let the snapshot be there, once all of it is on the disk."""
        self.run(COMMIT, staged=staged, name=name)

    def give_up(self, staged: str) -> None:
        """Remove what was made of a snapshot."""
        self.run('rm -rf -- "$staged"', staged=staged)

    def remove(self, name: str) -> None:
        self.run(REMOVE, name=name)

    def mark(self, name: str, verification: Verification) -> None:
        """Note how a verification ended."""
        self.run(MARK, stdin=verification.text().encode(), name=name)

    def _entering(self, values: Mapping[str, object]) -> str:
        return shell.assign({"root": self.place.path, "site": self.site, **values}) + ENTER

    def _not_locked(self, said: str) -> StoreError:
        if said == "@taken":
            return StoreError(
                f"Somebody else works on the store {self.place}.",
                "Wait for it, then repeat the command.",
            )
        return self._error(Output(78 if said.startswith("There is no store") else 1, said))

    def _error(self, output: Output) -> StoreError:
        make = f"inv backup --new-store --store={self.place}"
        hint = f"Mount it. If it is a new one: {make}" if output.code == 78 else ""
        said = output.last if hint else f"The store {self.place} fails: {output.last}"
        return StoreError(said, hint)


@contextmanager
def opened(place: Place, site: str) -> Iterator[Store]:
    """The store at a place, behind one connection. Raises Unreachable."""
    with opened_machines(place.target()) as machines:
        for machine in machines.values():
            if isinstance(machine, Unreachable):
                hint = f"Reach it first as the user who is to use it: ssh {place.user}@{place.host}"
                raise Unreachable(f"The store {place}: {machine.message}", hint)
            yield Store(machine, place, site)
