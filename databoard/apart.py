"""Looking at a kit in a process of its own, with the Python that the kit needs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from databoard.errors import KitError

PYTHON = Path(sys.executable)  # that runs Databoard; a kit may need another
ROOT = Path(__file__).resolve().parent.parent


def ask(module: str, kit: Path, data: Path, python: Path) -> dict[str, Any]:
    """What `module`, run on a kit by `python`, answers. Raises KitError when it does not."""
    # Looking at a kit leaves nothing in its folder.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(python), "-m", module, str(kit), str(data)],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
    )
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise KitError(
            f"The kit {kit.name} ended its process (exit {done.returncode}): {last}"
        ) from None


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
