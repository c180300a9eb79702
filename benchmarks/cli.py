"""Start-up: what a command costs before it does anything."""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from measure import ROOT, Row, arguments, interleave, report, run

INV, PYTHON = Path(sys.prefix) / "bin/inv", sys.executable


def main() -> None:
    rounds = 9 if arguments(__doc__ or "").quick else 25
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty"
        empty.mkdir()
        (empty / "tasks.py").write_text(
            'from invoke import task\n\n\n@task\ndef nothing(ctx):\n    """Do nothing."""\n'
        )
        deployment = {"DATABOARD_DEPLOYMENT_PATH": f"{folder}/deployment"}
        run(INV, "db-upgrade", **deployment)
        names = (f"score{number}" for number in itertools.count())
        listed, empty_listed, wrapped = interleave(
            rounds,
            lambda: run(INV, "--list"),
            lambda: run(INV, "--list", cwd=empty),
            lambda: run(ROOT / "inv", "--list"),
        )
        added, imported = interleave(
            rounds,
            lambda: run(INV, "add-score-type", next(names), "0", "0", "1", **deployment),
            lambda: run(PYTHON, "-c", "import sqlalchemy, invoke"),
        )
    report(
        [
            Row("`inv --list` / the same with one empty task", listed, empty_listed, 1.3),
            Row("`inv add-score-type` / `import sqlalchemy, invoke`", added, imported, 1.6),
            Row("`./inv --list` - `inv --list`", wrapped, listed, 0.03, unit="s"),
        ]
    )


if __name__ == "__main__":
    main()
