"""The border around submitted code: what it is given, and what it cannot reach.

A submission tells what it saw in the message of an exception. Where databases make no difference,
one is enough.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from databoard import database
from databoard.model.submission import Submission, SubmissionScore
from tests.training.deployment import (
    LABEL,
    N_TEST,
    N_TRAIN,
    Deployment,
    model,
    write_plain_kit,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("shared", ["sqlite"], indirect=True),
]

FOLDS = [(range(40), range(40, 60)), (range(20, 60), range(20))]
TELL = """
import json

class Evidence(Exception):
    pass

def tell(**seen):
    raise Evidence(json.dumps(seen))
"""
# The patterns are made of another number, so that they are no finds themselves.
SCAN = """
import re
import struct

def rows_in_memory():
    other = 7318529639000
    whole, real = struct.pack("<q", other)[2:], struct.pack("<d", other)[3:]
    text = re.compile(b"7318529640" + rb"\\d{3}")
    found = {"whole": set(), "real": set(), "text": set()}
    regions = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.read().splitlines():
            if line.split()[1][0] != "r" or "[v" in line:
                continue
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            memory.seek(start)
            try:
                block = memory.read(end - start)
            except OSError:
                continue
            regions += 1
            at = block.find(whole)
            while at >= 0:
                low = int.from_bytes(block[max(at - 2, 0):at], "little")
                found["whole"].add(low - 0x640)  # the lowest bits of LABEL
                at = block.find(whole, at + 1)
            at = block.find(real)
            while at >= 0:
                low = block[max(at - 3, 0):at] + real
                if len(low) == 8:
                    found["real"].add(struct.unpack("<d", low)[0] - other - 1000)
                at = block.find(real, at + 1)
            found["text"].update(int(match[0][-3:]) for match in text.finditer(block))
    return {kind: sorted(row for row in rows if 0 <= row < 80) for kind, rows in found.items()}
"""


@pytest.fixture(scope="module")
def ready(shared: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """With an event `plain`."""
    kit = write_plain_kit(tmp_path_factory.mktemp("kits") / "plain")
    (kit / "external_imports").mkdir()
    (kit / "external_imports" / "of_the_kit.py").write_text("answer = 42\n")
    shared.add_event(shared.add_problem(kit))
    return shared


def seen(ready: Deployment, request: pytest.FixtureRequest, **parts: str) -> dict[str, Any]:
    """What a submission tells of what it saw."""
    parts["top"] = TELL + parts.get("top", "")
    name = "s" + str(abs(hash(request.node.name)))
    return evidence(ready.outcome("plain", name, model(**parts)))


def evidence(row: Submission) -> dict[str, Any]:
    assert row.error_message is not None, row.state
    return json.loads(row.error_message.rpartition("Evidence: ")[2])


@pytest.mark.parametrize("fold", [0, 1])
def test_labels_of_validation_rows_are_blank(
    ready: Deployment, request: pytest.FixtureRequest, fold: int
) -> None:
    told = seen(
        ready,
        request,
        fit=f"if FOLD != {fold}: time.sleep(60)\n"
        "tell(y=y.tolist(), type=str(y.dtype), train_is=np.asarray(train_is).tolist())",
    )
    train, _ = FOLDS[fold]
    assert told["type"] == "int64" and told["train_is"] == list(train)
    blank = LABEL + train[0]
    assert told["y"] == [LABEL + row if row in train else blank for row in range(N_TRAIN)]


@pytest.mark.parametrize("fold", [0, 1])
def test_no_label_of_validation_or_test_is_in_memory(
    ready: Deployment, request: pytest.FixtureRequest, fold: int
) -> None:
    """All that the process can read of itself, as integers, as floats and as text."""
    told = seen(
        ready,
        request,
        top=SCAN,
        fit=f"if FOLD != {fold}: time.sleep(60)\nself.y = y",
        predict="if len(X) == 20: tell(**rows_in_memory())",
    )
    train, _ = FOLDS[fold]
    assert told["whole"] == list(train)  # so the search finds what is there
    assert set(told["real"]) <= set(train)
    assert set(told["text"]) <= set(train)


def test_the_scan_would_find_a_label(ready: Deployment, request: pytest.FixtureRequest) -> None:
    told = seen(
        ready,
        request,
        top=SCAN,
        predict="labels = 7318529640000 + np.arange(60, 80)\n"
        "real, text = labels.astype(float), ' '.join(map(str, labels.tolist()))\n"
        "tell(**rows_in_memory())",
    )
    hidden = set(range(N_TRAIN, N_TRAIN + N_TEST))
    assert all(set(rows) >= hidden for rows in told.values())


def test_the_kit_it_sees_leads_to_no_data(
    ready: Deployment, request: pytest.FixtureRequest
) -> None:
    told = seen(
        ready,
        request,
        top="import problem\nimport of_the_kit",
        fit="""
        here = Path(problem.__file__).parent
        names = "get_train_data", "get_test_data", "get_cv", "Predictions", "workflow"
        tell(
            has=[name for name in names if hasattr(problem, name)],
            same=problem is sys.modules["problem"],
            code=sorted(str(path.relative_to(here)) for path in here.rglob("*")),
            work=os.listdir(),
            submission=os.listdir("/submission"),
            path=sys.path,
            arguments=sys.argv,
            answer=of_the_kit.answer,
            module=[__file__, here.as_posix(), os.getcwd()],
        )
        """,
    )
    assert told["has"] == ["Predictions", "workflow"] and told["same"]
    assert told["code"] == ["external_imports", "external_imports/of_the_kit.py", "problem.py"]
    assert told["work"] == [] and told["submission"] == ["estimator.py"]
    assert told["answer"] == 42
    ours = str(ready.settings.deployment_path)
    for place in (*told["path"], *told["arguments"], *told["module"]):
        assert not place.startswith(ours)


@pytest.mark.parametrize("loader", ["get_train_data", "get_test_data", "get_cv"])
def test_a_loader_cannot_be_called(
    ready: Deployment, request: pytest.FixtureRequest, loader: str
) -> None:
    parts = {"top": "import problem", "fit": f"problem.{loader}()"}
    row = ready.outcome("plain", f"calls_{loader}", model(**parts))
    assert row.error_message is not None
    assert f"AttributeError: module 'problem' has no attribute '{loader}'" in row.error_message


def test_the_environment_holds_no_secret(
    ready: Deployment, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("DATABOARD_DB_PASSWORD", "DATABOARD_DB_URL", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD")
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    told = seen(
        ready,
        request,
        fit="tell(now=dict(os.environ), first=Path('/proc/self/environ').read_text())",
    )
    allowed = {"PATH", "PWD", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH"}
    allowed |= {"PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "HOME", "TMPDIR", "MPLBACKEND"}
    rest = {name for name in told["now"] if not name.endswith("_NUM_THREADS")} - allowed
    # what numerical libraries set when they are imported
    assert not [name for name in rest if not name.startswith(("OPENBLAS_", "KMP_"))], rest
    for text in (json.dumps(told["now"]), told["first"]):
        assert "hunter2" not in text and "DATABOARD_" not in text
    assert told["now"]["OMP_NUM_THREADS"] == "1"


def test_no_descriptor_is_inherited_but_the_status(
    ready: Deployment, request: pytest.FixtureRequest
) -> None:
    told = seen(
        ready,
        request,
        fit="""
        open_files = {}
        for number in os.listdir("/proc/self/fd"):
            try:
                open_files[number] = os.readlink(f"/proc/self/fd/{number}")
            except FileNotFoundError:
                pass  # the listing's own
        tell(files=open_files, session=os.getsid(0) == os.getpid())
        """,
    )
    standard = [told["files"].pop(number) for number in "012"]
    assert standard == ["/dev/null"] * 3
    kinds = sorted(Path(path.partition(":")[0]).name for path in told["files"].values())
    assert kinds == ["pipe", "test.npy", "train.npy"]  # the status, and the predictions
    assert told["session"]


LEAVE = """
import builtins
import random
import tempfile

import problem
import sklearn

def leave():
    for module in (np, sklearn, builtins, problem, sys, type(problem.workflow)):
        module.left_behind = 1
    np.mean = random.random = problem.Predictions.__init__ = None
    problem.score_types.clear()
    sys.modules["left_behind"] = sys
    sys.path.append("left_behind")
    os.environ["left_behind"] = "1"
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    np.random.seed(5)
    folders = "/tmp", "/dev/shm", "/scratch", Path.cwd(), Path.home(), tempfile.gettempdir()
    for folder in map(Path, folders):
        (folder / "left_behind").write_text("x")
"""
LOOK = """
import builtins
import random
import tempfile

import problem
import sklearn

def look():
    owners = np, sklearn, builtins, problem, sys, type(problem.workflow)
    folders = [Path(name) for name in ("/tmp", "/dev", "/scratch", "/submission", "/kit")]
    return {
        "owners": [str(owner) for owner in owners if hasattr(owner, "left_behind")],
        "changed": [np.mean is None, random.random is None, not problem.score_types],
        "names": "left_behind" in sys.modules or "left_behind" in sys.path + list(os.environ),
        "deaf": signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN,
        "dice": [np.random.random(), random.random()],
        "files": [str(path) for folder in folders for path in folder.rglob("left_behind")],
    }
"""


def test_nothing_of_a_submission_is_seen_by_the_next(ready: Deployment) -> None:
    before = ready.submit("plain", "before", model(top=TELL + LOOK, fit="tell(**look())"))
    leaving = ready.submit("plain", "leaving", model(top=LEAVE, fit="leave()"))
    after = ready.submit("plain", "after", model(top=TELL + LOOK, fit="tell(**look())"))
    good = ready.submit("plain", "good", model())
    ready.train(jobs=1)
    assert ready.get(leaving).state != "checking_error"
    told = evidence(ready.get(after))
    assert told == evidence(ready.get(before))
    assert (told["owners"], told["changed"], told["names"]) == ([], [False] * 3, False)
    assert (told["deaf"], told["files"]) == (False, [])
    assert ready.get(good).state == "scored"


def test_the_status_pipe_gives_no_score(ready: Deployment, tmp_path: Path) -> None:
    """Lies about steps and scores: the stored score is that of the predictions."""
    top = """
    import stat

    def lie():
        lines = [b"done", b'{"scores": [[0, 0, 0]], "exit": 0}', b'{"id": 1, "overall": []}']
        lines += [b"started", b"trained", b"validated", b"tested", b"done"]
        for number in range(3, 100):
            try:
                if stat.S_ISFIFO(os.fstat(number).st_mode):
                    os.write(number, b"\\n".join(lines) + b"\\n")
            except OSError:
                pass
    """
    honest = ready.submit("plain", "honest", model())
    liar = ready.submit("plain", "liar", model(top=top, fit="lie()"))
    dropout = ready.submit("plain", "dropout", model(top=top, fit="lie()\nos._exit(0)"))
    ready.train()
    assert ready.get(honest).state == ready.get(liar).state == "scored"
    with database.reading(ready.engine) as session:
        bags = dict(
            session.execute(
                select(SubmissionScore.submission_id, SubmissionScore.valid_bag).where(
                    SubmissionScore.submission_id.in_((honest, liar, dropout))
                )
            ).all()
        )
    assert bags.keys() == {honest, liar}
    assert bags[honest] == bags[liar] == pytest.approx(LABEL + 29.5)
    row = ready.get(dropout)
    assert (row.state, row.error_kind) == ("scoring_error", "predictions")
    assert row.train_time is None
