"""Folds: which rows are trained on and which validated, what may be wrong with them."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Fold = tuple["np.ndarray", ...]  # a pair, where nothing is wrong with it


def rows_of(fold: Any) -> Fold:
    """A fold as arrays; none when it is no sequence of lists."""
    import numpy as np

    try:
        return tuple(map(np.asarray, fold))
    except (TypeError, ValueError):
        return ()


def faults_of(folds: Sequence[Fold], n_rows: int, name: str) -> Iterator[str]:
    """Sentences about folds of a kit that cannot be trained and validated on."""
    if not folds:
        yield f"The kit {name} has no cross-validation folds."
    for number, fold in enumerate(folds):
        if fault := _fault_of(fold, n_rows):
            yield f"Fold {number} of the kit {name} {fault}."


def digest_of(folds: Sequence[Fold]) -> str:
    """A fingerprint of the cross-validation: SHA-256 of all row numbers."""
    import numpy as np

    digest = hashlib.sha256()
    for fold in folds:
        for rows in fold:
            digest.update(f"{len(rows)}:".encode())
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()


def _fault_of(fold: Fold, n_rows: int) -> str | None:
    import numpy as np

    if len(fold) != 2 or any(rows.ndim != 1 for rows in fold):
        return "is no pair of lists, of training and of validation rows"
    for rows, what in zip(fold, ("training", "validation"), strict=True):
        if not len(rows):
            return f"has no {what} rows"
        if not np.issubdtype(rows.dtype, np.integer):
            return "holds no row numbers"
        if rows.min() < 0 or rows.max() >= n_rows:
            return f"names rows outside of the {n_rows} training rows"
    if both := np.intersect1d(*fold).tolist():
        more = " and others" if len(both) > 3 else ""
        return f"trains on rows that it validates: {', '.join(map(str, both[:3]))}{more}"
    return None
