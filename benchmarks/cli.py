"""Start-up: what a command costs before it does anything."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from measure import INV, PYTHON, ROOT, Row, arguments, interleave, report, run

EMPTY = 'from invoke import task\n\n\n@task\ndef nothing(ctx):\n    """Do nothing."""\n'


def main() -> None:
    rounds = 15 if arguments(__doc__ or "").quick else 31
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty"
        empty.mkdir()
        (empty / "tasks.py").write_text(EMPTY)
        site = {"DATABOARD_DEPLOYMENT_PATH": f"{folder}/deployment"}
        run(INV, "db-upgrade", **site)
        names = map("score{}".format, itertools.count())
        listed, empty_listed, wrapped, added, imported = interleave(
            rounds,
            lambda: run(INV, "--list"),
            lambda: run(INV, "--list", cwd=empty),
            lambda: run(ROOT / "inv", "--list"),
            lambda: run(INV, "add-score-type", next(names), "0", "0", "1", **site),
            lambda: run(PYTHON, "-c", "import sqlalchemy, invoke"),
        )
    report(
        [
            Row("inv --list / with one empty task", listed, empty_listed, 1.3),
            Row("inv add-score-type / import sqlalchemy, invoke", added, imported, 1.6),
            Row("./inv --list - inv --list", wrapped, listed, 0.03, is_difference=True),
        ]
    )


if __name__ == "__main__":
    main()
