"""Predictions in files: reading arrays that somebody else may have written."""

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from databoard.errors import DataboardError
from databoard.files import open_plain

if TYPE_CHECKING:
    import numpy as np

MAX_SIZE = 4 * 1024**3
_HEADER = re.compile(
    rb"\{'descr': '([<>|][a-zA-Z]\d{0,9}(?:\[\w{1,9}\])?)', 'fortran_order': (?:True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*(?:\d{1,12})?)\), \} *\n"
)


class BadPredictions(DataboardError):
    """Predictions that cannot be scored."""


def read_predictions(path: Path, n_rows: int, what: str) -> "np.ndarray":
    """Read an array that hostile code wrote. Raises BadPredictions.

    It must be a plain file with `n_rows` rows of finite numbers; nothing is unpickled.
    """
    import numpy as np

    try:
        file = open_plain(path)
        if file is None:
            raise BadPredictions(f"The {what} predictions are not a plain file.")
        with file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_SIZE:
                raise BadPredictions(f"The {what} predictions are too large.")
            # The header alone: a sparse giant is refused before it is read.
            dtype, shape = _read_header(file)
            if dtype.kind not in "fiub":
                raise BadPredictions(
                    f"The {what} predictions are of type {dtype}; they must be numbers."
                )
            if not shape or shape[0] != n_rows:
                raise BadPredictions(
                    f"The {what} predictions are of shape {shape}; they must have {n_rows} rows."
                )
            if size < math.prod(shape) * dtype.itemsize:
                raise BadPredictions(f"The {what} predictions are cut off.")
            file.seek(0)
            array: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, TypeError, EOFError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path
        raise BadPredictions(f"The {what} predictions cannot be read: {reason}") from error
    bad = np.flatnonzero(~np.isfinite(array.reshape(n_rows, -1)).all(axis=1))
    if bad.size:
        raise BadPredictions(
            f"The {what} predictions hold NaN or infinity in {bad.size} of {n_rows} rows, first in "
            f"row {bad[0]}."
        )
    return array


def _read_header(file: BinaryIO) -> "tuple[np.dtype, tuple[int, ...]]":
    """Type and shape of the array in a .npy file. Raises ValueError.

    numpy's reader hands a header to Python's parser, which can be made to fail in many ways;
    its writer writes one form only.
    """
    import numpy as np

    start = file.read(12)
    length, size = (10, start[8:10]) if start[6:7] == b"\1" else (12, start[8:12])
    file.seek(length)
    header = _HEADER.fullmatch(file.read(min(int.from_bytes(size, "little"), 1000)))
    if start[:6] != b"\x93NUMPY" or start[6:8] not in (b"\1\0", b"\2\0") or header is None:
        raise ValueError("this is no array of numbers as np.save writes it")
    shape = tuple(int(length) for length in header[2].replace(b",", b" ").split())
    return np.dtype(header[1].decode()), shape
