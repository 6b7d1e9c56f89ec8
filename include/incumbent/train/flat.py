"""Features that say nothing, null or the same in all rows: a training goes on without them, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.shards import Chosen, Shard

SHOWN = 5


@dataclass(frozen=True)
class Flat:
    """Names of features that no estimator can split on, in the definition's order.

    Attributes:
        null: Without a value in any row.
        constant: With one value, the same in every row.
    """

    null: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what a person should know of them; nothing if there are none.

        >>> Flat(null=("speed",), constant=tuple("abcdefg")).lines()
        ['null in all training rows: speed', 'the same in all training rows: a, b, c, d, e and 2 more']
        """
        return [
            f"{what} in all training rows: {', '.join(names[:SHOWN])}"
            + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            for what, names in (("null", self.null), ("the same", self.constant))
            if names
        ]


def flat_features(files: Sequence[Path], chosen: Sequence[Chosen], encoder: Encoder) -> Flat:
    """Return the features that say nothing, as an estimator sees them.

    All are looked at in the first row group, and in the next ones those that were flat in it: mostly none.

    Args:
        files: The Parquet files.
        chosen: Rows to learn from, at least one.
        encoder: Features and vocabulary.
    """
    matrix = Shard(files, chosen, encoder).batch(0).matrix
    is_flat = _same(matrix, matrix[0])
    values = matrix[0][is_flat]
    names = tuple(name for name, flat in zip(encoder.features, is_flat, strict=True) if flat)
    left = np.ones(len(names), dtype=bool)
    rest = Shard(files, chosen, encoder.only(names))
    for number in range(1, rest.groups):
        if not left.any():
            break
        left &= _same(rest.batch(number).matrix, values)
    found = [(name, bool(np.isnan(value))) for name, value, flat in zip(names, values, left, strict=True) if flat]
    return Flat(tuple(n for n, is_null in found if is_null), tuple(n for n, is_null in found if not is_null))


def check_flat(flat: Flat, features: Sequence[str], where: str) -> None:
    """Refuse rows of which every feature is flat: the fit would take its time, and learn nothing.

    Raises:
        TrainingError: They are.
    """
    if len(flat.null) + len(flat.constant) == len(features):
        raise TrainingError(
            "nothing can be learned: every feature is null or constant",
            where=where,
            expected="a feature with two values",
            found="; ".join(flat.lines()),
            next_step="look at features.sql, and at the deliveries of what it reads",
        )


def _same(matrix: Matrix, values: Matrix) -> npt.NDArray[np.bool_]:
    """Return for each column whether every row has its value, or is null as that is."""
    same: npt.NDArray[np.bool_] = ((matrix == values) | (np.isnan(matrix) & np.isnan(values))).all(axis=0)
    return same
