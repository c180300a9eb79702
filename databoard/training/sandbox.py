"""The box around submitted code, from outside: its environment, and what of this machine is in it.

A kit's fold server runs in a box of its own that Bubblewrap makes; `inside` makes one for each
fold in it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from databoard.apart import PYTHON
from databoard.config import ROOT
from databoard.errors import DataboardError
from databoard.names import one_line

KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
KIT = Path("/kit")  # in the box: the folder of the kit's servers
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr")
SETTINGS = ("/etc/alternatives", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")
# What the fold server needs to make boxes, and to end them; a user's hold in the box alone.
RIGHTS_OF_USERS = ("SYS_ADMIN",)
RIGHTS_OF_ROOT = (*RIGHTS_OF_USERS, "SETUID", "SETGID", "KILL")


def environment(root: Path, scratch: Path, threads: str) -> dict[str, str]:
    """The environment of everything that a worker starts: no secret, no database URL."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # Some machines choose the kernels of their BLAS: results depend on it.
    kept |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    return kept | {
        "PYTHONPATH": str(root),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }


def boxed(python: Path, kit: Path, folders: Iterable[Path] = ()) -> list[str]:
    """The beginning of a command that runs in a box: with an environment's Python, the folder of
    a kit's servers as `/kit`, and `folders` of its data where they are. All is read-only.
    """
    options = ["--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"]
    options += ["--unshare-net", "--unshare-uts"]
    is_root = os.geteuid() == 0
    options += ["--cap-drop", "ALL"] if is_root else ["--unshare-user"]
    for right in RIGHTS_OF_ROOT if is_root else RIGHTS_OF_USERS:
        options += ["--cap-add", f"CAP_{right}"]
    options += ["--tmpfs", "/tmp"]  # noqa: S108 - first, as an environment may be in it
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            options += _bind(path)
    for path in (*map(Path, SETTINGS), *_prefixes(python), ROOT / "databoard", *folders):
        if path.exists():
            options += _bind(path)
    options += ["--tmpfs", str(ROOT / "databoard" / "specific")]  # kits of ours, with their data
    options += ["--ro-bind", str(kit), str(KIT), "--proc", "/proc", "--dir", "/dev"]
    for name in DEVICES:  # without a terminal, which Bubblewrap's own /dev has
        options += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    options += ["--symlink", "/proc/self/fd", "/dev/fd"]
    # What the fold server itself may write to.
    options += ["--tmpfs", "/dev/shm", "--setenv", "HOME", "/dev/shm"]  # noqa: S108
    options += ["--setenv", "TMPDIR", "/dev/shm"]  # noqa: S108
    options += ["--dir", "/scratch", "--dir", "/submission"]  # `inside` mounts there
    options += ["--remount-ro", "/tmp", "--remount-ro", "/"]  # noqa: S108
    return ["bwrap", *options, "--chdir", "/", "--"]


def _bind(path: Path) -> list[str]:
    """What is there is there in the box, too; what is above it is open to all, but empty."""
    above = [word for parent in reversed(path.parents[:-1]) for word in ("--dir", str(parent))]
    return [*above, "--ro-bind", str(path), str(path)]


def check() -> None:
    """Raise DataboardError where this machine cannot make a box."""
    if (reason := fault()) is not None:
        raise DataboardError(
            f"Submitted code cannot be boxed here: {reason}.",
            "Install Bubblewrap (Debian: apt-get install bubblewrap), and where the kernel keeps "
            "namespaces from users, allow them. Code that you trust runs without a box with "
            "--unsafe-no-sandbox.",
        )


def fault() -> str | None:
    """Why this machine cannot make a box, and one for a fold in it; None when it can."""
    command = [*boxed(PYTHON, Path("/usr")), str(PYTHON), "-m", "databoard.training.inside"]
    known = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=known
        )
    except FileNotFoundError:
        return "there is no bwrap"
    lines = done.stderr.strip().splitlines() or [f"bwrap ends with {done.returncode}"]
    return one_line(lines[-1]) if done.returncode else None


def _prefixes(python: Path) -> list[Path]:
    """Where an environment is, and where the Python is that it was made with."""
    prefix = python.parent.parent
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return [python.resolve().parent.parent]
    homes = [Path(line.partition("=")[2].strip()) for line in lines if line.startswith("home")]
    return [prefix, *(home.resolve().parent for home in homes)]


def copy_code(kit: Path, target: Path) -> Path:
    """Copy the code of a kit without its data, so that its modules do not lead to the labels."""
    target.mkdir(parents=True)
    for module in kit.glob("*.py"):
        shutil.copyfile(module, target / module.name)
    imports = kit / "external_imports"
    if imports.is_dir():
        shutil.copytree(imports, target / imports.name, copy_function=shutil.copyfile)
    return _readable(target)


def copy_files(files: Path, target: Path) -> Path:
    """The copy of a submission for one fold."""
    target.mkdir(parents=True)
    for file in files.iterdir():
        shutil.copyfile(file, target / file.name)
    return _readable(target)


def _readable(folder: Path) -> Path:
    """Readable by the user that a fold is in a box of root; above it are folders that are not."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
