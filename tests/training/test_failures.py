"""Submissions that fail: where they end, what is told, and that the worker goes on."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from databoard import database
from databoard.config import ROOT
from databoard.model.event import Event
from databoard.predictions import BadPredictions, read_predictions
from tests.training.deployment import (
    Deployment,
    is_there,
    model,
    named,
    until,
    write_plain_kit,
)

# For what is the same on both, whatever is stored.
on_one_database = pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
NOTHING = {"submission_score": 0, "fold_run": 0, "fold_score": 0}
STORED = {"submission_score": 1, "fold_run": 2, "fold_score": 2}
EVENTS = {"usual": {}, "hasty": {"time_limit": 2}, "small": {"memory_limit": 300}}

FORGE = """
import stat

def finish(state="validated tested done"):
    for number in range(3, 100):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, state.replace(" ", "\\n").encode("latin1") + b"\\n")
        except OSError:
            pass
    os._exit(0)

def opened(name="train.npy"):
    # the open file of that name
    for number in map(int, os.listdir("/proc/self/fd")):
        path = f"/proc/self/fd/{number}"
        if os.path.lexists(path) and os.readlink(path).endswith(name):
            return os.fdopen(number, "wb")

def save(name="train.npy", n=60):
    with opened(name) as file:
        np.save(file, np.zeros(n))
"""


@dataclass(frozen=True)
class Case:
    """A submission, and how it must end."""

    source: str | bytes
    state: str
    kind: str
    says: str
    event: str = "usual"
    fold: int | None = None


def training(source: str | bytes, says: str, kind: str = "exception", **more: object) -> Case:
    return Case(source, "training_error", kind, says, **more)


def scoring(source: str, says: str) -> Case:
    return Case(source, "scoring_error", "predictions", says)


def forged(predict: str, says: str) -> Case:
    """Takes the place of the steps that follow, from validation on."""
    return scoring(model(top=FORGE, predict=predict), says)


SLEEPING_CHILDREN = """
for _ in range(6):
    if os.fork() == 0:
        block = bytearray(100 * 1024**2)
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
SHARED_MEMORY = """
import mmap
block = mmap.mmap(-1, 700 * 1024**2)
for at in range(0, len(block), 4096):
    block[at] = 1
time.sleep(60)
"""
FAILURES = {
    # code that ends in an exception
    "syntax": training("def broken(:\n", r'^File "estimator.py", line 1\n(.|\n)*SyntaxError'),
    "no module": training(model(top="import nothing_here"), r"ModuleNotFoundError.*nothing_here"),
    "no name": training(model(top="from sklearn import nothing"), r"ImportError: cannot import"),
    "no class": training("x = 1\n", r"AttributeError.*Model"),
    "not text": training(b"x = '\xff'\n", r"SyntaxError|UnicodeDecodeError"),
    "import": training(model(top="1 / 0"), r'File "estimator.py", line \d+.*\n(.|\n)*ZeroDivision'),
    "fit": training(
        model(fit="raise ValueError('no fit')"),
        r'\ATraceback \(in the submission\):\n  File "estimator.py", line 17, in fit\n.*\n'
        r"ValueError: no fit\Z",
    ),
    "validation": Case(
        model(predict="X['y']"), "validating_error", "exception", r"in predict\n(.|\n)*IndexError"
    ),
    "test": Case(
        model(predict="if len(X) == 20: raise KeyError('test')"),
        "testing_error",
        "exception",
        r"KeyError: 'test'\Z",
    ),
    "sys.exit": training(model(fit="sys.exit(3)"), r"SystemExit: 3\Z"),
    "interrupt": training(model(fit="raise KeyboardInterrupt"), r"KeyboardInterrupt\Z"),
    "recursion": training(model(top="def f(): f()", fit="f()"), r"RecursionError"),
    "one fold": training(model(fit="assert FOLD != 1, 'two'"), r"AssertionError: two\Z", fold=1),
    "no str": training(
        model(top="class E(Exception):\n    def __str__(self): 1 / 0", fit="raise E"), r"E: <"
    ),
    # code that ends the process
    "abort": training(model(fit="os.abort()"), r"the signal SIGABRT\.\Z", "crash"),
    "exit 3": training(model(fit="os._exit(3)"), r"with the exit code 3\.\Z", "crash"),
    "exit 0": training(model(fit="os._exit(0)"), r"with the exit code 0\.\Z", "crash"),
    "bad access": training(
        model(top="import ctypes", fit="ctypes.string_at(0)"), r"signal SIGSEGV\.\Z", "crash"
    ),
    "crash in test": Case(
        model(predict="if len(X) == 20: os._exit(4)"), "testing_error", "crash", "exit code 4"
    ),
    # limits
    "endless": training(
        model(fit="while True: pass"), r"longer than its 2 s", "time", event="hasty"
    ),
    "deaf": training(
        model(fit="signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"),
        r"than its 2 s",
        "time",
        event="hasty",
    ),
    "together too long": training(  # 2.6 s in all, though each fold is quicker than 2 s
        model(fit="time.sleep(1.3)"), r"than its 2 s", "time", event="hasty"
    ),
    "large array": training(
        model(fit="np.ones(2**31)"), r"MemoryError(.|\n)*may use 2048 MB", "memory"
    ),
    "many children": training(
        model(fit=SLEEPING_CHILDREN), r"more than its 300 MB", "memory", event="small"
    ),
    "shared memory": training(
        model(fit=SHARED_MEMORY), r"more than its 300 MB", "memory", event="small"
    ),
    # predictions
    "text": scoring(model(predict="return np.array(['a'] * len(X))"), r"type <U1; .* numbers"),
    "objects": scoring(model(predict="return np.array([None] * len(X))"), r"Object arrays"),
    "nothing": scoring(model(predict="return None"), r"Object arrays"),
    "complex": scoring(model(predict="return np.zeros(len(X)) + 1j"), r"type complex128; "),
    "dates": scoring(model(predict="return np.zeros(len(X), 'M8[s]')"), r"type datetime64"),
    "records": scoring(model(predict="return np.zeros(len(X), 'f8,f8')"), r"no array of numbers"),
    "NaN": scoring(
        model(predict="y = np.zeros(len(X))\ny[[3, 5]] = np.nan\nreturn y"),
        r"The training predictions hold NaN or infinity in 2 of 60 rows, first in row 3\.",
    ),
    "infinity": scoring(
        model(predict="y = np.zeros(len(X))\nif len(X) == 20: y[7] = -np.inf\nreturn y"),
        r"The test predictions hold NaN or infinity in 1 of 20 rows, first in row 7\.",
    ),
    "too few": scoring(model(predict="return np.zeros(len(X) - 1)"), r"\(59,\); .* have 60 rows"),
    "too many": scoring(model(predict="return np.zeros(len(X) + 1)"), r"\(61,\); .* have 60 rows"),
    "a number": scoring(model(predict="return 0.0"), r"shape \(\); they must have 60 rows"),
    "columns": scoring(model(predict="return np.zeros((len(X), 7, 2))"), r"cannot be scored"),
    # files in the place of the predictions, and a status that tells lies
    "nothing stored": forged("finish()", r"cannot be read: this is no array of numbers"),
    "a part": forged("save()\nfinish()", r"The test predictions cannot be read"),
    "cut off": forged(
        "with opened() as f: np.save(f, np.zeros(60)); f.truncate(300)\nfinish()", r"are cut off"
    ),
    "giant": forged(
        "with opened() as f: np.save(f, np.zeros(60)); f.truncate(2**30)\nsave('test.npy', 19)\n"
        "finish()",
        r"test predictions are of shape \(19,\)",
    ),
    "pickle": forged(
        "with opened() as f: np.save(f, np.array(['os'] * 60, dtype=object), allow_pickle=True)\n"
        "finish()",
        r"type object",
    ),
    "hostile header": forged(
        "header = b'-' * 5000 + b'1'\n"
        "start = b'\\x93NUMPY\\x01\\x00' + len(header).to_bytes(2, 'little')\n"
        "with opened() as f: f.write(start + header)\nfinish()",
        r"no array of numbers as np\.save writes it",
    ),
    "steps twice": Case(
        model(top=FORGE, predict="finish('validated validated done tested tested')"),
        "scoring_error",
        "crash",
        r"exit code 0",
    ),
    "a lie about the kind": Case(
        model(top=FORGE, predict='finish(\'{"kind":"platform","reason":"x"}\')'),
        "validating_error",
        "crash",
        r"exit code 0",
    ),
    "a deep lie": Case(
        model(top=FORGE, predict="finish('{\"a\":' * 20000)"),
        "validating_error",
        "crash",
        r"exit code 0",
    ),
    "noise": Case(
        model(top=FORGE, predict="finish('\\xff\\0' * 10000)"),
        "validating_error",
        "crash",
        r"exit code 0",
    ),
    # words that are no words for a terminal or a database
    "control": training(
        model(fit=r"raise ValueError('a\x00b\x1b[31mc\x07\u202ed\x9be\r\u2066f\tg')"),
        "ValueError: a�b�\\[31mc��d�e��f\tg\\Z",
    ),
    "half a character": training(model(fit=r"raise ValueError('a\ud800b\udfffc')"), "a�b�c"),
    "a long reason": training(model(fit="raise ValueError('x' * 10**6)"), r"\Ax{1000,16000}\Z"),
    # what the kit's processes import in advance
    "a program": training(
        model(top="import numpy.f2py.__main__"), r"SystemExit|RuntimeError|ValueError", fold=None
    ),
}
SUCCESSES = {
    "numbers": model(predict="return [1] * len(X)"),
    "truths": model(predict="return np.ones(len(X), bool)"),
    "single": model(predict="return np.ones(len(X), 'f4')"),
    "other order": model(predict="return np.ones(len(X), '>f8')"),
    "strided": model(predict="return np.ones((len(X), 3))[:, 1]"),
    "flood": model(
        fit="for _ in range(200):\n"
        "    print('x' * 10**5); sys.stderr.write('x' * 10**5); os.write(1, b'x' * 10**5)\n"
        "    os.write(2, b'x' * 10**5)\nsys.stdin.read()"
    ),
    "closes all": model(fit="os.closerange(0, 3)"),
    # which the first process of its box does not hear
    "signals to itself": model(fit="for n in (9, 15, 19, 40): os.kill(os.getpid(), n)"),
}


@pytest.fixture(scope="module")
def ended(shared: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """All of them, trained by one worker. Ids by name."""
    shared.add_problem(write_plain_kit(tmp_path_factory.mktemp("kits") / "plain"))
    for event, limits in EVENTS.items():
        shared.add_event("plain", event, **limits)
    ids = {}
    for number, (name, case) in enumerate(FAILURES.items()):
        ids[name] = shared.submit(case.event, f"s{number}", case.source)
    for number, (name, source) in enumerate(SUCCESSES.items()):
        ids[name] = shared.submit("usual", f"t{number}", source)
    shared.train()
    return ids


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_and_its_reason(shared: Deployment, ended: dict[str, int], name: str) -> None:
    case, row = FAILURES[name], shared.get(ended[name])
    assert (row.state, row.error_kind) == (case.state, case.kind), row.error_message
    assert row.error_message is not None
    assert re.search(case.says, row.error_message), row.error_message
    assert row.error_fold in ((0, 1) if case.fold is None else (case.fold,))
    assert (row.attempt, row.lost_leases, row.worker, row.lease_end) == (1, 0, None, None)
    assert row.ended_at is not None and row.train_time is None
    assert shared.stored(row.id) == NOTHING
    assert not list(shared.folder_of(row.id).glob("predictions/*"))
    for path in (str(ROOT), os.sep + "tmp", "site-packages", "/usr", "databoard-"):
        assert path not in row.error_message
    assert len(row.error_message) <= 20_000
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", row.error_message)


@pytest.mark.slow
@pytest.mark.parametrize("name", SUCCESSES)
def test_a_success_has_no_reason(shared: Deployment, ended: dict[str, int], name: str) -> None:
    row = shared.get(ended[name])
    assert (row.state, row.error_kind, row.error_fold, row.error_message) == (
        "scored",
        None,
        None,
        None,
    )
    assert shared.stored(row.id) == STORED
    predictions = shared.folder_of(row.id) / "predictions" / "1"
    assert sorted(path.name for path in predictions.iterdir()) == [
        f"fold_{fold}_{side}.npy" for fold in (0, 1) for side in ("test", "valid")
    ]
    assert np.load(predictions / "fold_0_valid.npy").shape == (20,)


@pytest.mark.slow
@on_one_database
@pytest.mark.parametrize("is_boxed", [True, False], ids=["boxed", "unboxed"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["ends", "killed"])
def test_what_a_fold_started_is_gone(
    shared: Deployment, ended: object, is_killed: bool, is_boxed: bool
) -> None:
    """A daemon: forked twice, in a session of its own, deaf to signals."""
    name = f"daemon{is_killed:d}{is_boxed:d}"
    daemon = f"""
    if FOLD == 0:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
                Path("/proc/self/comm").write_text("{name}")
                Path("runs").touch()
                while True: time.sleep(1)
            os._exit(0)
        while not os.path.exists("runs"): time.sleep(0.01)
        if {is_killed}: time.sleep(60)
        raise ValueError("it runs")
    time.sleep(60)
    """
    row = shared.outcome("hasty", name, model(fit=daemon), is_boxed)
    if is_killed:
        assert row.error_kind == "time"
    else:
        assert (row.error_message or "").endswith("it runs")
    assert named(name) == []


@pytest.mark.slow
@on_one_database
def test_a_failing_fold_ends_the_others(shared: Deployment, ended: object) -> None:
    fit = """
    Path("/proc/self/comm").write_text(f"impatient{FOLD}")
    time.sleep(50 if FOLD == 0 else 1)
    raise ValueError("the other")
    """
    row = shared.outcome("usual", "impatient", model(fit=fit))
    assert (row.state, row.error_kind, row.error_fold) == ("training_error", "exception", 1)
    assert row.ended_at is not None and row.training_at is not None
    assert (row.ended_at - row.training_at).total_seconds() < 30
    assert named("impatient0") == []


@pytest.mark.slow
def test_training_again_clears_the_reason_and_the_scores(
    shared: Deployment, ended: object, tmp_path: Path
) -> None:
    switch = tmp_path / "good"
    fit = model(fit=f"assert os.path.exists('{switch}')")
    row = shared.outcome("usual", "again", fit, is_boxed=False)
    assert (row.state, row.error_kind) == ("training_error", "exception")
    switch.touch()
    shared.set_state(row.id, "new")
    assert shared.get(row.id).error_message is None
    shared.train(is_boxed=False)
    row = shared.get(row.id)
    assert (row.state, row.attempt, row.error_kind, row.error_message) == ("scored", 2, None, None)
    assert row.error_fold is None and shared.stored(row.id) == STORED
    assert [path.name for path in shared.folder_of(row.id).glob("predictions/*")] == ["2"]
    switch.unlink()
    shared.set_state(row.id, "new")
    assert shared.stored(row.id) == NOTHING
    shared.train(is_boxed=False)
    row = shared.get(row.id)
    assert (row.state, row.attempt, row.error_kind) == ("training_error", 3, "exception")
    assert row.train_time is None and shared.stored(row.id) == NOTHING


@pytest.mark.slow
@on_one_database
def test_who_kills_the_engine_is_tried_three_times(shared: Deployment, ended: object) -> None:
    killer = model(fit="os.kill(os.getppid(), signal.SIGKILL)")
    row = shared.outcome("usual", "killer", killer, is_boxed=False)
    assert (row.state, row.attempt, row.lost_leases) == ("checking_error", 3, 3)
    assert row.error_message == "The worker died 3 times while training it."
    row = shared.outcome("usual", "boxed_killer", killer)  # its parent is the init of its box
    assert (row.state, row.attempt) == ("scored", 1)


# The platform's failures


@pytest.fixture
def broken(shared: Deployment, ended: object, tmp_path: Path) -> Iterator[Path]:
    """The kit of an event, to be broken and whole again at the end."""
    kit = shared.settings.kits_path / "fragile"
    if not kit.exists():
        shared.add_problem(write_plain_kit(tmp_path / "fragile"))
        shared.add_event("fragile")
    yield kit
    shutil.rmtree(kit, ignore_errors=True)
    write_plain_kit(kit)


def add_line(kit: Path, line: str) -> None:
    with (kit / "problem.py").open("a") as file:
        file.write(f"\n{line}\n")


def other_folds(kit: Path) -> None:
    add_line(kit, "def get_cv(X, y): return [(np.arange(30), np.arange(30, 60))]")


BREAKAGES = {
    "missing": (lambda kit: shutil.rmtree(kit), r"problem\.py"),
    "no problem.py": (lambda kit: (kit / "problem.py").unlink(), r"problem\.py"),
    "raises": (
        lambda kit: add_line(kit, "1 / 0"),
        r"problem\.py of the kit fragile cannot be imported: ZeroDivisionError.*line \d+",
    ),
    "lacks": (lambda kit: add_line(kit, "del get_cv"), r"the kit fragile lacks get_cv"),
    "no data": (lambda kit: (kit / "data" / "test.csv").unlink(), r"cannot read its data"),
    "other folds": (other_folds, r"folds of the kit have changed since .* inv add-event"),
    "exits": (lambda kit: add_line(kit, "sys = __import__('sys'); sys.exit(0)"), r"\w"),
}


@pytest.mark.slow
@on_one_database
@pytest.mark.parametrize("how", BREAKAGES)
def test_a_kit_that_fails_is_not_the_teams_fault(
    shared: Deployment, broken: Path, how: str
) -> None:
    breaks, says = BREAKAGES[how]
    number = list(BREAKAGES).index(how)
    first = shared.submit("fragile", f"first_{number}", model())
    second = shared.submit("usual", f"second_{number}", model())
    breaks(broken)
    shared.train()
    row = shared.get(first)
    assert (row.state, row.error_kind, row.error_fold) == ("checking_error", "platform", None)
    assert row.error_message is not None and re.search(says, row.error_message), row.error_message
    assert shared.stored(first) == NOTHING
    assert shared.get(second).state == "scored"


@pytest.mark.slow
@on_one_database
def test_a_kit_that_hangs_is_ended_and_not_loaded_again(
    shared: Deployment, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [shared.submit("fragile", f"hangs_{number}", model()) for number in (1, 2)]
    note = tmp_path / "loaded"
    add_line(broken, f"print(os.getpid(), file=open({str(note)!r}, 'a'))\nwhile True: pass")
    monkeypatch.setattr("databoard.apart.LOAD_SECONDS", 5)
    shared.train("fragile")
    for id_ in ids:
        row = shared.get(id_)
        assert (row.state, row.error_kind) == ("checking_error", "platform")
        assert row.error_message == (
            "The kit fragile and its data were not loaded within 5 seconds."
        )
    (pid,) = note.read_text().split()
    until(lambda: not is_there(int(pid)))


@pytest.mark.slow
@on_one_database
def test_a_worker_that_is_stopped_leaves_no_kit_that_hangs(
    shared: Deployment, broken: Path, tmp_path: Path
) -> None:
    stopped = shared.submit("fragile", "stopped", model())
    note = tmp_path / "loaded"
    add_line(broken, f"print(os.getpid(), file=open({str(note)!r}, 'a'), flush=True)")
    add_line(broken, "while True: pass")

    async def begin_and_stop() -> None:
        work = asyncio.create_task(shared.worker("fragile").drain())
        while not (note.exists() and note.read_text().strip()):
            await asyncio.sleep(0.02)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(begin_and_stop())
    until(lambda: not is_there(int(note.read_text())))
    assert shared.get(stopped).state == "new"


@pytest.mark.slow
@on_one_database
@pytest.mark.parametrize("what", ["files", "files/estimator.py"])
def test_submitted_files_that_are_gone_are_not_the_teams_fault(
    shared: Deployment, ended: object, what: str, tmp_path: Path
) -> None:
    name = what.replace("/", "_").replace(".", "_")
    first = shared.submit("usual", f"gone_{name}", model())
    second = shared.submit("usual", f"here_{name}", model())
    os.rename(shared.folder_of(first) / what, tmp_path / "gone")
    shared.train()
    row = shared.get(first)
    assert (row.state, row.error_kind) == ("checking_error", "platform"), row.error_message
    assert str(shared.folder_of(first) / "files") in (row.error_message or "")
    assert shared.get(second).state == "scored"


# Reading predictions


def npy(header: str, body: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + body


def described(descr: str = "'<f8'", shape: str = "(3,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [np.arange(3.0), np.ones((3, 2)), np.ones(3, bool), np.ones((3, 4), "<i2"), np.ones(3, "<f2")],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_plain_arrays_are_read(tmp_path: Path, array: np.ndarray, version: tuple[int, int]) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version)
    read = read_predictions(tmp_path / "a.npy", 3, "test")
    assert read.dtype == array.dtype and np.array_equal(read, array)


HOSTILE = {
    "pickle": saved(np.array([print, 1, 2], dtype=object)),
    "no magic": b"x" * 100,
    "cut off": saved(np.zeros(3))[:-1],
    "no body": npy(described()),
    "version 9": npy(described(), bytes(24), 9),
    "version 3": npy(described("'<f8'", "(4,)"), bytes(32), 3),
    "rows": saved(np.zeros(4)),
    "scalar": saved(np.array(1.0)),
    "negative": npy(described(shape="(3, -4)"), bytes(96)),
    "huge shape": npy(described(shape=f"(3, {10**30})"), bytes(24)),
    "shape of text": npy(described(shape="(3, 'a')"), bytes(24)),
    "no shape": npy("{'descr': '<f8'}\n", bytes(24)),
    "long header": npy(described() + " " * 60000, bytes(24)),
    "deep header": npy("-" * 5000 + "1", bytes(24)),
    "open header": npy("{'descr': (", bytes(24)),
    "brackets": npy("(" * 5000, bytes(24)),
    "no header": npy(""),
    "NUL": npy("\0" * 50, bytes(24)),
    "records": npy(described("[('a', '<f8')]"), bytes(24)),
    "subarray": npy(described("('<f8', (10000,))"), bytes(24)),
    "text": saved(np.array(["a", "b", "c"])),
    "NaN": saved(np.array([1, np.nan, 2])),
    "no columns, NaN": saved(np.full((3, 1), -np.inf)),
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_predictions_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(BadPredictions, match="The test predictions ") as error:
        read_predictions(tmp_path / "a.npy", 3, "test")
    assert len(error.value.message) < 400


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    good = tmp_path / "good.npy"
    good.write_bytes(saved(np.zeros(3)))
    (tmp_path / "link.npy").symlink_to(good)
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    with (tmp_path / "sparse.npy").open("wb") as file:
        file.write(saved(np.zeros(3)))
        file.truncate(5 * 1024**4)
    for path in (*tmp_path.glob("[!g]*.npy"), tmp_path / "absent.npy", Path("/dev/zero")):
        with pytest.raises(BadPredictions, match="The test predictions "):
            read_predictions(path, 3, "test")


@pytest.mark.slow
def test_events_keep_their_limits(shared: Deployment, ended: object) -> None:
    with database.reading(shared.engine) as session:
        rows = {event.name: event for event in session.query(Event)}
    assert (rows["hasty"].time_limit, rows["small"].memory_limit) == (2, 300)
