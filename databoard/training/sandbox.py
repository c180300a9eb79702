"""The surroundings of submitted code: its folders and its environment."""

import os
import shutil
from pathlib import Path

KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


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


def copy_code(kit: Path, target: Path) -> Path:
    """Copy the code of a kit without its data, so that its modules do not lead to the labels."""
    target.mkdir(parents=True)
    for module in kit.glob("*.py"):
        shutil.copy2(module, target)
    imports = kit / "external_imports"
    if imports.is_dir():
        shutil.copytree(imports, target / imports.name)
    return target


def make_folder(folder: Path, files: Path) -> Path:
    """The scratch folder of one fold: its own copy of the submission, `work/` and `out/`."""
    for name in ("files", "work", "out"):
        (folder / name).mkdir(parents=True)
    for file in files.iterdir():
        shutil.copyfile(file, folder / "files" / file.name)
    return folder
