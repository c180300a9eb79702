"""The run record of a submission: what its scores may depend on, without a path or a name.

What loads a kit tells of the kit, the fold server of itself in its box, the worker of the machine.
The fold server imports this file, so it knows no database.
"""

import functools
import hashlib
import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from databoard.apart import PYTHON
from databoard.config import ROOT
from databoard.training.channel import Caller

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "ramp-workflow")
DIGESTS = ("files", "kit", "data", "environment", "packages")
Record = dict[str, Any]
Parts = dict[str, str | None]


def of_kit(code: Path, python: Path) -> Record:
    """Of a kit's code, as the folds see it, and of the lock of its environment."""
    own = python.parents[2] / "requirements"
    lock = ROOT / "requirements.lock" if python == PYTHON else own
    digest = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
    return {"kit": digest_of(code), "environment": digest}


def of_process(seed: int) -> Record:
    """Of the process that asks, which seeds each fold with `seed`."""
    installed = sorted(path.name for at in sys.path for path in Path(at).glob("*.dist-info"))
    return {
        "packages": hashlib.sha256("\n".join(installed).encode()).hexdigest(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "hash seed": os.environ.get("PYTHONHASHSEED"),
        "seed": str(seed),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "libraries": {name: _version(name) for name in LIBRARIES} | {"blas": _blas()},
    }


async def of_run(known: Record, scorer: Caller, files_digest: str) -> Record:
    """The whole of it, once the scorer has seen all of the kit's data. Raises ChannelClosed."""
    answer, _ = await scorer.call({"do": "data"})
    return {"files": files_digest, **known, "data": answer["data"], "machine": _machine()}


def parts_of(record: Record) -> Parts:
    """One by one: `kit`, `libraries numpy`."""
    parts: Parts = {}
    for name, value in record.items():
        is_group = isinstance(value, dict)
        parts |= {f"{name} {key}": value[key] for key in value} if is_group else {name: value}
    return parts


def digest_of(folder: Path) -> str | None:
    """A fingerprint of the names and contents of all files in a folder; None where it has none."""
    digest, n_files = hashlib.sha256(), 0
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for path in (Path(place, name) for name in sorted(names)):
            if path.is_file():
                n_files += 1
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(os.fsencode(f"{path.relative_to(folder)}\0{content}\n"))
    return digest.hexdigest() if n_files else None


def _version(name: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(name)
    return None


def _blas() -> str | None:
    """Which libraries for linear algebra are loaded, and the kernels that they have chosen."""
    try:
        from threadpoolctl import threadpool_info  # comes with scikit-learn

        found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    except Exception:  # an old one fails on newer libraries; no submission is to fail of it
        return None
    words = ("internal_api", "version", "architecture")
    return ", ".join(sorted({" ".join(str(each.get(word)) for word in words) for each in found}))


@functools.cache
def _machine() -> Parts:
    system = None
    with suppress(OSError):
        system = platform.freedesktop_os_release().get("PRETTY_NAME")
    return {
        "architecture": platform.machine(),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": system,
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }


def _cpu() -> str | None:
    """The model of the first processor; where it has no name, the numbers of its maker."""
    known: dict[str, str] = {}
    with suppress(OSError), open("/proc/cpuinfo") as file:
        for line in iter(file.readline, "\n"):
            if not line:
                break
            name, _, value = line.partition(":")
            known[name.strip()] = value.strip()
    words = ("CPU implementer", "CPU part", "CPU variant")
    return known.get("model name") or " ".join(known[word] for word in words if word in known)
