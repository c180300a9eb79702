"""What the benchmarks share: interleaved rounds, peers in environments of their own, the table."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / ".peers"
INV, PYTHON = Path(sys.prefix) / "bin/inv", Path(sys.prefix) / "bin/python"

sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from tests.postgres import Cluster


@dataclass(frozen=True)
class Row:
    """Medians of both sides in seconds, and the goal of what is made of them (None: no goal).

    That is their ratio; with `is_difference` what ours takes longer; without a peer ours itself,
    which with `is_count` is no time but a number.
    """

    what: str
    ours: float
    peer: float | None
    goal: float | None = None
    is_difference: bool = False
    is_count: bool = False

    @property
    def is_ratio(self) -> bool:
        return self.peer is not None and not self.is_difference

    @property
    def figure(self) -> float:
        if self.peer is None:
            return self.ours
        return self.ours - self.peer if self.is_difference else self.ours / self.peer

    @property
    def is_missed(self) -> bool:
        return self.goal is not None and self.figure > self.goal

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""

        def shown(value: float) -> str:
            if self.is_count:
                return f"{value:.0f}"
            return f"{value:.3f}" if self.is_ratio else f"{value * 1000:.1f} ms"

        goal, verdict = "", ""
        if self.goal is not None:
            goal, verdict = shown(self.goal), "MISSED" if self.is_missed else "met"
        peer = "" if self.peer is None else f"{self.peer:.4g} s"
        ours = shown(self.ours) if self.is_count else f"{self.ours:.4g} s"
        return self.what, ours, peer, shown(self.figure), goal, verdict


def arguments(description: str) -> argparse.Namespace:
    """`--quick`: smaller, within a minute."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller, within 60 s")
    return parser.parse_args()


def seconds(do: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def interleave(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """Run all sides in turn, some rounds of it; the median of each."""
    times = [[side() for side in sides] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> float:
    """Wall time of a process that must succeed."""
    return seconds(lambda: output_of(*command, cwd=cwd, **environment))


def output_of(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """What a process prints, which must succeed."""
    everything = clean_environment() | environment
    done = subprocess.run(command, cwd=cwd, env=everything, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def clean_environment() -> dict[str, str]:
    """The same for both sides: one thread, bytecode cached, no colours, no deployment of ours."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in left_out and not name.startswith("DATABOARD_")
    }
    return kept | {"OMP_NUM_THREADS": "1", "TERM": "dumb"}


def peer(name: str, *packages: str, is_pinned: bool = True) -> Path:
    """The `bin` of an environment with these packages; pinned: in requirements.lock's versions."""
    folder, lock = PEERS / name, (ROOT / "requirements.lock").read_text() if is_pinned else ""
    pins = re.findall(r"^[\w.-]+==[^ ;\\]+(?: ; [^\\]+)?", lock, re.MULTILINE)
    wanted, stamp = "\n".join([*packages, *pins]), folder / "packages"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing the peer {name} (once) ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        (folder / "constraints").write_text("\n".join(pins))
        pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--compile"]
        subprocess.run(
            [*pip, "-c", folder / "constraints", *packages], check=True, env=clean_environment()
        )
        stamp.write_text(wanted)
    return folder / "bin"


@contextlib.contextmanager
def postgresql() -> Iterator[Cluster | None]:
    """A private PostgreSQL that syncs to disk as any does; None where it is not installed."""
    from tasks.development import PARTS
    from tests.postgres import private_cluster

    part = PARTS["postgresql"].find()
    if part is None:
        print("PostgreSQL is left out: apt-get install postgresql", file=sys.stderr)
        yield None
        return
    with private_cluster(part.resolve().parent) as cluster:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            cluster.execute(f"ALTER SYSTEM SET {setting} = on")
        cluster.execute("SELECT pg_reload_conf()")
        yield cluster


def report(rows: list[Row]) -> None:
    """Print the table; exit 1 when a goal is missed."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, load at the end {load}\n")
    header = ("what", "ours", "floor or peer", "figure", "goal", "")
    lines = [header, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])))
    for line in lines:
        padded = [f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)]
        padded[0] = f"{line[0]:<{widths[0]}}"
        print(f"| {' | '.join(padded)} |")
    sys.exit(any(row.is_missed for row in rows))
