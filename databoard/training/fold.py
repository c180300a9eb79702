"""The fold server, and the process that runs submitted code on one fold.

The server holds the kit's workflow and features and forks a process per fold, which goes into a
box of its own. It never sees a label: the training labels of a fold come to that fold's process as
an open file, and those of validation and test never leave the scorer. Predictions go out through
open files: a fold can write nothing else that outlives it.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pickle
import random
import re
import resource
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Collection
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from databoard.errors import DataboardError
from databoard.kits import load_problem
from databoard.training import inside, record
from databoard.training.channel import Channel, ChannelClosed, Message

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MAX_REASON = 16_000
WATCH_SECONDS = 0.2
SEED = 0  # of each fold
_LIBRARIES = re.compile(r"/[^\s'\"()]*/(?:site-packages|python3\.\d+)/")
PAGE = resource.getpagesize()


def serve(channel: Channel) -> None:
    """Open a kit without its labels, then `run`, `kill` and `preload` until the channel closes."""
    # Who stops a worker may signal all that it started: it is the worker that ends the others,
    # after it has given back what it holds.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    import rampwf  # noqa: F401 - what takes a second, paid while the scorer reads the data

    run_record = record.of_process(SEED)
    request, _ = channel.receive()
    os.chdir(request["code"])
    try:
        problem = load_problem(Path(request["code"]))
    except DataboardError as error:
        channel.send({"id": request["id"], "error": error.message})
        return
    for loader in ("get_train_data", "get_test_data", "get_cv"):
        delattr(problem, loader)
    with open(request["features"], "rb") as file:
        X_train, X_test = pickle.load(file)  # noqa: S301 - written by the scorer
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    gc.collect()
    gc.freeze()
    channel.send({"id": request["id"], "record": run_record})
    FoldServer(channel, problem, X_train, X_test, request["is_boxed"]).run()


class FoldServer:
    """Forks folds, watches their memory, and ends them with all that they started."""

    def __init__(
        self, channel: Channel, problem: ModuleType, X_train: Any, X_test: Any, is_boxed: bool
    ) -> None:
        self.channel, self.is_boxed = channel, is_boxed
        self.problem, self.X_train, self.X_test = problem, X_train, X_test
        self.running: dict[int, Message] = {}
        self.base = _resident(os.getpid())

    def run(self) -> None:
        """Serve until the channel closes; then nothing of a fold is left."""
        wake, waker = os.pipe()
        for end in (wake, waker):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        selector = selectors.DefaultSelector()
        selector.register(self.channel.socket, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        try:
            while True:
                ready = selector.select(WATCH_SECONDS if self.running else None)
                if any(key.fileobj == wake for key, _ in ready):
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 1024)
                if any(key.fileobj == self.channel.socket for key, _ in ready):
                    self._serve_one()
                self._reap()
                self._watch_memory()
        finally:
            _end_strangers(())

    def _serve_one(self) -> None:
        request, files = self.channel.receive()
        if request["do"] == "run":
            pid = inside.fork() if self.is_boxed else os.fork()
            if pid == 0:
                self._become_fold(request, *files)
            self.running[pid] = request
            for file in files:
                os.close(file)
        elif request["do"] == "kill":
            for pid, run in self.running.items():
                if run["id"] == request["run"]:
                    os.kill(pid, signal.SIGKILL)  # what it started follows when it is reaped
        elif request["do"] == "preload":
            preload(request["modules"])

    def _become_fold(self, request: Message, *files: int) -> None:
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor not in (0, 1, 2, *files):
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
            paths = Path(request["files"]), Path(request["work"])
            if self.is_boxed:
                try:
                    inside.enter(paths[0], Path(request["runs"]))
                except OSError as error:
                    reason = f"No box could be made: {error}."
                    say = json.dumps({"kind": "platform", "reason": reason})
                    os.write(files[1], f"{say}\n".encode())
                    return
                paths = inside.SUBMISSION, inside.WORK
            _limit(request["memory_limit"])
            run_fold(self.problem, self.X_train, self.X_test, *paths, *files)
        finally:
            os._exit(0)

    def _reap(self) -> None:
        while self.running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            request = self.running.pop(pid, None)
            _end_strangers(self.running)
            if request is not None:
                answer = {"id": request["id"], "max_memory": usage.ru_maxrss / 1024}
                code = os.waitstatus_to_exitcode(status)
                answer |= {"exit": code, "too_much": request.get("too_much", False)}
                self.channel.send(answer)

    def _watch_memory(self) -> None:
        for pid, request in self.running.items():
            if _resident(pid, family=True) > self.base + request["memory_limit"] * 1024**2:
                request["too_much"] = True
                os.kill(pid, signal.SIGKILL)


def run_fold(
    problem: ModuleType,
    X_train: Any,
    X_test: Any,
    files: Path,
    work: Path,
    labels: int,
    status: int,
    train: int,
    test: int,
) -> None:
    """Train and predict on one fold, here, in the process that ends with it.

    The submission is in `files`, what it writes goes to `work`, its predictions as arrays of numpy
    to the open files `train` and `test`. Each step that is reached is a line on `status`; a failure
    is a JSON line.
    """
    import numpy as np

    with os.fdopen(labels, "rb") as source:
        y_train, train_is, valid_is = pickle.load(source)  # noqa: S301 - written by the scorer
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    os.chdir(work)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(work)
    tempfile.tempdir = None  # the kit may have looked it up
    random.seed(SEED)
    np.random.seed(SEED)

    def say(step: str) -> None:
        os.write(status, f"{step}\n".encode())

    workflow = problem.workflow
    step = "training"
    try:
        say("started")
        model = workflow.train_submission(str(files), X_train, y_train, train_is)
        say("trained")
        step = "validating"
        takes_fold = list(signature(workflow.test_submission).parameters)[2:] == ["fold"]
        fold = [(train_is, valid_is)] if takes_fold else []
        y_pred_train = workflow.test_submission(model, X_train, *fold)
        say("validated")
        step = "testing"
        no_fold = [None] if takes_fold else []
        if X_test is not None:
            y_pred_test = workflow.test_submission(model, X_test, *no_fold)
        say("tested")
        step = "scoring"
        with os.fdopen(train, "wb") as file:
            np.save(file, np.asarray(y_pred_train), allow_pickle=False)
        if X_test is not None:
            with os.fdopen(test, "wb") as file:
                np.save(file, np.asarray(y_pred_test), allow_pickle=False)
        say("done")
    except BaseException as error:
        kind = "memory" if isinstance(error, MemoryError) else "exception"
        if step == "scoring" and kind == "exception":
            kind = "predictions"
        say(json.dumps({"step": step, "kind": kind, "reason": reason_of(error, files)}))


def reason_of(error: BaseException, files: Path) -> str:
    """The traceback, cut to the submitted files; of paths, what is the same on each machine."""
    shown = traceback.TracebackException.from_exception(error, limit=-200)
    frames = [frame for frame in shown.stack if Path(frame.filename).parent == files]
    lines = ["Traceback (in the submission):\n", *traceback.format_list(frames)] if frames else []
    text = "".join([*lines, *shown.format_exception_only()])
    for folder in (files, files.parent):
        text = text.replace(f"{folder}/", "")
    return _LIBRARIES.sub("", text).strip()[-MAX_REASON:]


def preload(modules: list[str]) -> None:
    """Import what a submission will import, once and for all folds.

    Only parts of libraries that the kit itself has loaded: nobody's code is run by its name.
    """
    for name in modules:
        package = sys.modules.get(name.partition(".")[0])
        if name in sys.modules or "site-packages" not in str(getattr(package, "__file__", "")):
            continue
        if "__main__" in name:  # a program, which would do its work here
            continue
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


def _limit(memory_limit: int) -> None:
    """Limit what this process may map, on top of what the libraries have; and its files."""
    with open("/proc/self/statm") as file:
        data = int(file.read().split()[5]) * PAGE
    most = data + memory_limit * 1024**2
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024**3, 1024**3))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_strangers(known: Collection[int]) -> None:
    """End what a dead fold left behind: orphans are given to us, their nearest subreaper."""
    while strangers := [pid for pid in _children(os.getpid()) if pid not in known]:
        for pid in strangers:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]
    return []


def _resident(pid: int, family: bool = False) -> int:
    """Resident memory in bytes, of a process or of all that it started."""
    pages = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as file:
        pages = int(file.read().split()[1])
    rest = sum(_resident(child, True) for child in _children(pid)) if family else 0
    return pages * PAGE + rest


if __name__ == "__main__":
    with contextlib.suppress(ChannelClosed):  # the worker is gone
        serve(Channel(socket.socket(fileno=int(sys.argv[1]))))
