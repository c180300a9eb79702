"""Files of a snapshot that take the places of a deployment's, or give them back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from databoard.backup import owners
from databoard.backup.copying import FOLDERS, UNFINISHED
from databoard.backup.store import Store

STAGED, BEFORE = ".restoring", "before-restore-"  # in the deployment


def stage(deployment: Path, store: Store, name: str) -> None:
    """Copy a snapshot's files into the deployment, beside those that serve."""
    staged = deployment / STAGED
    give_up(deployment)
    staged.mkdir(parents=True, mode=0o700)
    store.pull(f"{name}/files", staged)
    with store.fetched(name, owners.FILE) as file:
        owners.give_back(file, staged)


def exchange(deployment: Path, at: str) -> Path:
    """Let the staged folders take the places of those that serve; returns where these are now."""
    kept = deployment / f"{BEFORE}{at}{UNFINISHED}"
    kept.mkdir()
    for folder in FOLDERS:
        if os.path.lexists(deployment / folder):
            (deployment / folder).rename(kept / folder)
        if os.path.lexists(deployment / STAGED / folder):
            (deployment / STAGED / folder).rename(deployment / folder)
    return kept


def give_up(deployment: Path) -> None:
    """Remove what is staged."""
    shutil.rmtree(deployment / STAGED, ignore_errors=True)


def recover(deployment: Path, has_taken_over: Callable[[str], bool]) -> None:
    """What a restore that was killed has exchanged stays if its database serves; else it is put
    back. `has_taken_over` is asked with the time of the exchange.
    """
    for kept in deployment.glob(f"{BEFORE}*{UNFINISHED}"):
        if has_taken_over(kept.name.removeprefix(BEFORE).removesuffix(UNFINISHED)):
            finish(kept)
        else:
            aside = put_back(kept)
            with suppress(OSError):  # it keeps what served meanwhile
                aside.rmdir()


def put_back(kept: Path) -> Path:
    """Undo an exchange that was not finished; returns where what served meanwhile is now."""
    aside = kept.with_name(f"{kept.name.removesuffix(UNFINISHED)}.undone")
    aside.mkdir(exist_ok=True)  # by one that was killed
    for folder in list(kept.iterdir()):
        serving = kept.parent / folder.name
        if os.path.lexists(serving):
            serving.rename(aside / folder.name)
        folder.rename(serving)
    kept.rmdir()
    return aside


def finish(kept: Path) -> Path | None:
    """The exchange stays."""
    done = kept.with_name(kept.name.removesuffix(UNFINISHED))
    kept.rename(done)
    give_up(kept.parent)
    if any(done.iterdir()):
        return done
    done.rmdir()
    return None
