"""The box: submissions that try to get out of it, and what they get instead."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from databoard.config import ROOT
from databoard.training import sandbox
from databoard.training.inside import SCRATCH_SIZE
from tests.training.deployment import LABEL, Deployment, model, write_plain_kit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("shared", ["sqlite"], indirect=True),
]

TOP = """
import ctypes
import errno
import json
import socket
import subprocess

class Evidence(Exception):
    pass

def attempt(do):
    try:
        return do()
    except Exception as error:
        number = getattr(error, "errno", None)
        return errno.errorcode.get(number, type(error).__name__)

def libc(name, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return "done"

X86 = os.uname().machine == "x86_64"
CLONE, KEYCTL = (56, 250) if X86 else (220, 219)

def connect(family, address):
    with socket.socket(family) as end:
        end.settimeout(5)
        end.connect(address)
    return "connected"

def fill(path, size):
    with open(path, "wb") as file:
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
    return "full"

def forks():
    for number in range(2000):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    return "forked"

def opens():
    kept = [open("/dev/null") for _ in range(5000)]
    return len(kept)

def finds(name):
    out = subprocess.run(["find", "/", "-name", name], capture_output=True, text=True).stdout
    return sorted(line for line in out.split() if not line.startswith("/proc"))

def holds(text):
    command = ["grep", "-rlsF", text, "/", "--exclude-dir=proc", "--exclude-dir=dev"]
    command += ["--exclude-dir=usr", "--exclude-dir=.venv", "--exclude-dir=.pyenv"]
    return sorted(subprocess.run(command, capture_output=True, text=True).stdout.split())
"""
READ_ONLY = ("EROFS", "EACCES", "EPERM")
NOT_THERE = ("ENOENT",)
FORBIDDEN = ("EPERM", "EACCES")
TOO_MUCH = "The submission used more than its 2048 MB of memory."


@dataclass(frozen=True)
class Attempt:
    """An expression, and what it may give."""

    expression: str
    gives: tuple[object, ...]


@dataclass
class Scene:
    """What there is to be reached on this machine."""

    deployment: Deployment
    port: int
    secret: Path

    def attempts(self) -> dict[str, Attempt]:
        settings = self.deployment.settings
        tcp = "connect(socket.AF_INET, ({!r}, {}))"
        read, write = "open({!r}).read()", "open({!r}, 'a').write('x')"
        listing = "sorted(os.listdir({!r}))"
        kit = settings.kits_path / "plain"
        return {
            # the network
            "a port of this machine": Attempt(tcp.format("127.0.0.1", self.port), ("ENETUNREACH",)),
            "another machine": Attempt(tcp.format("192.0.2.1", 80), ("ENETUNREACH",)),
            "a name": Attempt("socket.getaddrinfo('example.org', 80)", ("gaierror", "EIO")),
            "an abstract socket": Attempt(
                f"connect(socket.AF_UNIX, '\\0databoard-{self.port}')", ("ECONNREFUSED",)
            ),
            "a socket file": Attempt(
                f"connect(socket.AF_UNIX, {str(self.secret.with_name('socket'))!r})", NOT_THERE
            ),
            "a raw socket": Attempt("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", FORBIDDEN),
            # files
            "a file of the machine": Attempt(read.format("/etc/passwd"), NOT_THERE),
            "shadow": Attempt(read.format("/etc/shadow"), NOT_THERE),
            "a world-readable secret": Attempt(read.format(str(self.secret)), NOT_THERE),
            "the database": Attempt(
                read.format(str(settings.deployment_path / "databoard.db")), NOT_THERE
            ),
            "the kit's data": Attempt(read.format(str(kit / "data" / "train.csv")), NOT_THERE),
            "the kit's data from here": Attempt(read.format("/kit/data/train.csv"), NOT_THERE),
            "labels in any file": Attempt(f"holds(str({LABEL // 1000 + 1} - 1))", ([],)),
            "a test file anywhere": Attempt("finds('test.csv')", ([],)),
            "other submissions": Attempt(listing.format("/kit/runs"), ([],)),
            "stored submissions": Attempt(
                listing.format(str(settings.submissions_path)), NOT_THERE
            ),
            "the problems that we ship": Attempt(
                listing.format(str(ROOT / "databoard" / "specific")), ([],)
            ),
            "the repository": Attempt(
                listing.format(str(ROOT)),
                (
                    [".venv", "databoard"],  # where the environment is in it
                    ["databoard"],
                ),
            ),
            "homes": Attempt(listing.format("/home"), NOT_THERE),
            # writing
            "its own files": Attempt(write.format("/submission/estimator.py"), READ_ONLY),
            "the kit's code": Attempt(write.format("/kit/plain/problem.py"), READ_ONLY),
            "the features": Attempt(write.format("/kit/features"), READ_ONLY),
            "the environment": Attempt("open(np.__file__, 'a').write('x')", READ_ONLY),
            "our code": Attempt(write.format(str(ROOT / "databoard" / "config.py")), READ_ONLY),
            "the system": Attempt(write.format("/usr/bin/x"), READ_ONLY),
            "the root": Attempt(write.format("/x"), READ_ONLY),
            "devices": Attempt(write.format("/dev/x"), READ_ONLY),
            "a new folder": Attempt("os.mkdir('/kit/runs/x')", READ_ONLY),
            "the kernel": Attempt(write.format("/proc/sys/kernel/core_pattern"), READ_ONLY),
            "a memory score": Attempt(write.format("/proc/self/oom_score_adj"), (1, "EACCES")),
            # rights
            "root": Attempt("os.setuid(0)", ("EPERM",)),
            "a mount": Attempt("libc('mount', b'x', b'/usr', b'tmpfs', 0, None)", ("EPERM",)),
            "an unmount": Attempt("libc('umount', b'/kit/runs')", ("EPERM",)),
            "a device": Attempt("os.mknod('/scratch/work/sda', 0o60600, 2048)", ("EPERM",)),
            "another root": Attempt("os.chroot('/scratch')", ("EPERM",)),
            "its limits": Attempt(
                "__import__('resource').setrlimit(6, (9999, 9999))", ("ValueError", "EPERM")
            ),
            "a program with rights": Attempt(
                "subprocess.run(['su', '-c', 'true'], capture_output=True).returncode != 0",
                (True, "ENOENT", "EACCES"),
            ),
            "host name": Attempt("socket.sethostname('x')", ("EPERM",)),
            "a module": Attempt("libc('syscall', 313, -1, b'', 0)", ("EPERM", "ENOSYS")),
            "a user namespace": Attempt("libc('unshare', 1 << 28)", ("EPERM",)),
            "one by cloning": Attempt(
                "libc('syscall', CLONE, 1 << 28 | 17, 0, 0, 0, 0)", ("EPERM",)
            ),
            "one by a newer call": Attempt("libc('syscall', 435, 0, 0)", ("ENOSYS",)),
            "a ring of calls": Attempt("libc('syscall', 425, 1, 0)", ("EPERM",)),
            "a keyring": Attempt("libc('syscall', KEYCTL, 0, -3, 0)", ("EPERM",)),
            "the hypervisor": Attempt("socket.socket(40, socket.SOCK_STREAM)", ("EPERM",)),
            "the kernel's ciphers": Attempt("socket.socket(38, socket.SOCK_SEQPACKET)", ("EPERM",)),
            "the filter": Attempt(
                "Path('/proc/self/status').read_text().split('Seccomp:')[1].split()[0]", ("2",)
            ),
            # processes
            "who there is": Attempt(
                "[name for name in os.listdir('/proc') if name.isdigit()]", (["1"],)
            ),
            "a signal to all": Attempt("os.kill(-1, 15)", ("ESRCH", None)),
            "a signal to the worker": Attempt(f"os.kill({os.getpid()}, 9)", ("ESRCH",)),
            "tracing the worker": Attempt(
                f"libc('ptrace', 16, {os.getpid()}, 0, 0)", ("ESRCH", "EPERM")
            ),
            "the parent": Attempt("os.getppid()", (0,)),
            # bombs
            "a disk bomb": Attempt(
                f"fill('a', {SCRATCH_SIZE // 2}) and fill('b', 2**30)", ("ENOSPC",)
            ),
            "a shared disk bomb": Attempt(
                f"fill('/dev/shm/a', {SCRATCH_SIZE + 2**20})", ("ENOSPC", "EFBIG")
            ),
            "a giant file": Attempt("os.truncate(os.open('a', 66), 2**40)", ("EFBIG",)),
            "a fork bomb": Attempt("forks()", ("EAGAIN", TOO_MUCH)),
            "open files": Attempt("opens()", ("EMFILE",)),
            "folders": Attempt("[os.mkdir(str(number)) for number in range(10**6)]", ("ENOSPC",)),
        }


@contextmanager
def listening(secret: Path) -> Iterator[int]:
    """Servers of this machine, whose port they tell."""
    ends = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    ends[0].bind(("127.0.0.1", 0))
    port = ends[0].getsockname()[1]
    ends[1].bind(f"\0databoard-{port}")
    ends[2].bind(str(secret.with_name("socket")))
    for end in ends:
        end.listen()
    try:
        yield port
    finally:
        for end in ends:
            end.close()


@pytest.fixture(scope="module")
def told(
    shared: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Attempt, object]]:
    """What each attempt gives: one submission each, trained by one worker."""
    folder = tmp_path_factory.mktemp("scene")
    folder.chmod(0o755)
    (folder / "secret").write_text("everybody may read this")
    shared.add_event(shared.add_problem(write_plain_kit(folder / "kits" / "plain")))
    with listening(folder / "secret") as port:
        attempts = Scene(shared, port, folder / "secret").attempts()
        ids = {}
        for number, (name, each) in enumerate(attempts.items()):
            fit = f"raise Evidence(json.dumps(attempt(lambda: {each.expression})))"
            ids[name] = shared.submit("plain", f"s{number}", model(top=TOP, fit=fit))
        shared.submit("plain", "good", model())
        shared.train()
    found = {}
    for name, each in attempts.items():
        message = shared.get(ids[name]).error_message or shared.get(ids[name]).state
        is_told = "Evidence: " in message
        found[name] = each, json.loads(message.rpartition("Evidence: ")[2]) if is_told else message
    return found


def test_what_each_attempt_gives(told: dict[str, tuple[Attempt, object]]) -> None:
    wrong = {name: given for name, (each, given) in told.items() if given not in each.gives}
    assert not wrong
    assert len(told) >= 45


def test_the_next_is_unharmed(shared: Deployment, told: object) -> None:
    assert shared.outcome("plain", "after_all", model()).state == "scored"


def test_a_machine_that_makes_no_box_trains_nothing(
    shared: Deployment, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert sandbox.fault() == "there is no bwrap"
    id_ = shared.submit("plain", "waits", model())
    with pytest.raises(Exception, match="Submitted code cannot be boxed here: there is no bwrap"):
        shared.train()
    assert shared.get(id_).state == "new"
    monkeypatch.undo()
    shared.train()
    assert shared.get(id_).state == "scored"
