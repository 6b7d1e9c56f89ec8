"""Turn feature rows into the numbers that an estimator sees, the same way at training and scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.errors import ModelError, TrainingError

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoder:
    """Ordered features, the vocabulary of those that are text, and what the numbers of the labels stand for.

    Attributes:
        features: Feature names in the model's order.
        categories: Text feature to its levels in code order: the sorted levels of the training rows.
        classes: Of a multiclass task, in the order of their numbers; else empty.
    """

    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...] = ()

    @classmethod
    def learn(cls, rows: pa.Table, features: Sequence[str]) -> Encoder:
        """Learn the vocabulary from training rows."""
        categories = {
            name: tuple(sorted(level for level in pc.unique(rows[name]).to_pylist() if level is not None))
            for name in features
            if pa.types.is_string(rows.schema.field(name).type)
        }
        return cls(tuple(features), categories)

    def only(self, features: Sequence[str]) -> Encoder:
        """Return the encoding of some of the features."""
        return Encoder(tuple(features), {name: self.categories[name] for name in features if name in self.categories})

    @property
    def types(self) -> list[str]:
        """XGBoost's feature types: `c` for a category, `q` for a quantity."""
        return ["c" if name in self.categories else "q" for name in self.features]

    def matrix(self, rows: pa.Table) -> Matrix:
        """Return rows as float32, shape (n_rows, n_features); null and unseen levels become NaN.

        Columns are taken by name: their order in `rows` does not matter.

        Raises:
            ModelError: A feature is missing or is no longer of its kind.
            TrainingError: A value is infinite.
        """
        there = set(rows.column_names)  # asked once: of ten thousand columns each asking takes as long as reading one
        if missing := [name for name in self.features if name not in there]:
            raise ModelError(
                "a feature of the model is missing",
                where=f"feature {missing[0]}",
                expected=f"{len(self.features)} features",
                found=f"{len(missing)} missing",
                next_step="compute the rows with the model version's own feature definition",
            )
        out = np.empty((rows.num_rows, len(self.features)), dtype=np.float32)
        for position, name in enumerate(self.features):
            out[:, position] = self._column(name, rows[name])
        return out

    def _column(self, name: str, values: pa.ChunkedArray) -> Matrix:
        is_text = pa.types.is_string(values.type)
        if is_text != (name in self.categories):
            raise ModelError(
                "a feature is of another kind than at training",
                where=f"feature {name}",
                expected="text" if name in self.categories else "a number",
                found=values.type,
                next_step="compute the rows with the model version's own feature definition",
            )
        if is_text:
            codes = pc.index_in(values, value_set=pa.array(self.categories[name], pa.string()))
            return np.asarray(codes.cast(pa.float32()).to_numpy(), dtype=np.float32)
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        with np.errstate(over="ignore"):
            narrow: Matrix = numbers.astype(np.float32)
        if count := int(np.isinf(narrow).sum()):
            large = count - int(np.isinf(numbers).sum())
            raise TrainingError(
                "a feature is infinite, or too large",
                where=f"feature {name}",
                expected=f"nulls, or numbers of at most {np.finfo(np.float32).max:.1e}, which is what estimators take",
                found=f"{count - large} infinite and {large} larger values",
                next_step="guard the division in features.sql with nullif(…, 0)",
            )
        return narrow
