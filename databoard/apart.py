"""Looking at a kit in a process of its own, with the Python that the kit needs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from databoard.errors import KitError
from databoard.names import one_line

PYTHON = Path(sys.executable)  # that runs Databoard; a kit may need another
ROOT = Path(__file__).resolve().parent.parent
LOAD_SECONDS = 600  # that a kit and its data may take


def ask(module: str, kit: Path, data: Path, python: Path) -> dict[str, Any]:
    """What `module`, run on a kit by `python`, answers. Raises KitError when it does not."""
    # Looking at a kit leaves nothing in its folder.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            # -P: the files of a kit do not stand in for modules
            [str(python), "-P", "-m", module, str(kit.absolute()), str(data.absolute())],
            cwd=kit,  # as when it is trained
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=LOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise KitError(*too_slow(kit.name)) from None
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        last = one_line((done.stderr.strip().splitlines() or ["no output"])[-1])
        raise KitError(
            f"The kit {kit.name} ended its process (exit {done.returncode}): {last}"
        ) from None


def too_slow(name: str) -> tuple[str, str]:
    """What to say of a kit that is not loaded in time, and the hint."""
    return (
        f"The kit {name} and its data were not loaded within {LOAD_SECONDS} seconds.",
        "Does its problem.py hang? Let it read less.",
    )


def answer(do: Callable[[], Any]) -> None:
    """Print what `do` returns, or its mistake, as JSON."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # kits print, and so do programs that they run
    try:
        result = do()
    except KitError as error:
        result = {"error": error.message, "hint": error.hint}
    with stdout:
        json.dump(result, stdout)
