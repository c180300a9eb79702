"""What the benchmarks share: interleaved rounds, peers in environments of their own, the table."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(__file__).resolve().parent / ".peers"


@dataclass(frozen=True)
class Row:
    """A figure: medians of both sides in seconds, and the goal for their ratio (None: none)."""

    what: str
    ours: float
    peer: float
    goal: float | None
    unit: str = "ratio"

    @property
    def value(self) -> float:
        """What the goal is for: the ratio, or the difference in seconds."""
        return self.ours - self.peer if self.unit == "s" else self.ours / self.peer

    @property
    def is_met(self) -> bool:
        return self.goal is None or self.value <= self.goal


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

    def process() -> None:
        subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=clean_environment() | environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    return seconds(process)


def clean_environment() -> dict[str, str]:
    """The same for both sides: one thread, bytecode cached, no colours."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"OMP_NUM_THREADS": "1", "TERM": "dumb"}


def peer(name: str, *packages: str) -> Path:
    """The `bin` of an environment with these packages, at the versions of requirements.lock."""
    folder, wanted = PEERS / name, "\n".join(packages)
    stamp = folder / "packages"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing the peer {name} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pins = PEERS / f"{name}.constraints"
        pins.write_text(
            "\n".join(
                re.findall(
                    r"^[\w.-]+==[^ ;\\]+(?: ; [^\\]+)?",
                    (ROOT / "requirements.lock").read_text(),
                    re.MULTILINE,
                )
            )
        )
        pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--compile", "-c", pins]
        subprocess.run([*pip, *packages], check=True, env=clean_environment())
        stamp.write_text(wanted)
    return folder / "bin"


def report(rows: list[Row]) -> None:
    """Print the table; exit 1 when a goal is missed."""
    print("\n| what | ours | floor or peer | figure | goal | |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:g}"
        verdict = "" if row.goal is None else "met" if row.is_met else "MISSED"
        figure = f"{row.value:.3f} s" if row.unit == "s" else f"{row.value:.2f}"
        print(
            f"| {row.what} | {row.ours:.3f} s | {row.peer:.3f} s | {figure} | {goal} | {verdict} |"
        )
    sys.exit(any(not row.is_met for row in rows))
