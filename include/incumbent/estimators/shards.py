"""A share of the training rows, read a row group at a time and encoded: what an estimator is fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from incumbent.estimators.encoding import Encoder, Matrix

KEPT_BYTES = 256 * 2**20  # what is smaller is decoded once: an estimator reads its rows four times


@dataclass(frozen=True)
class Chosen:
    """Rows of one file.

    Attributes:
        file: Number of the Parquet file.
        positions: Of the rows in the file, ascending, int32, shape (n_rows,).
        labels: Truth, float64, shape (n_rows,).
        weights: Finite and not negative, float32, shape (n_rows,); None where all weigh the same.
    """

    file: int
    positions: npt.NDArray[np.int32]
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Group:
    """Chosen rows of one row group.

    Attributes:
        chosen: The rows of its file.
        number: Of the row group.
        first, last: Where its rows begin and end in `chosen`.
        rows: Where the rows are in the group, shape (last - first,).
        size: Rows in the group, chosen or not.
    """

    chosen: Chosen
    number: int
    first: int
    last: int
    rows: npt.NDArray[np.int32]
    size: int


@dataclass(frozen=True)
class Batch:
    """Rows as an estimator takes them: numbers of shape (n_rows, n_features), labels and weights."""

    matrix: Matrix
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float32] | None


def chosen_groups(file: pq.ParquetFile, chosen: Chosen) -> list[Group]:
    """Return each row group of a file that has chosen rows."""
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    edges = np.searchsorted(chosen.positions, starts)
    return [
        Group(chosen, number, first, last, chosen.positions[first:last] - np.int32(starts[number]), size)
        for number, (first, last, size) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), sizes, strict=True))
        if last > first
    ]


@dataclass
class Shard:
    """The share of one of so many workers: every so many-th row group that has rows.

    The same rows, worker and number of workers give the same batches in the same order, on any machine.

    Attributes:
        files: The Parquet files.
        chosen: Rows of each file.
        encoder: Features and vocabulary.
        rank, world: Which worker of how many.
    """

    files: Sequence[Path]
    chosen: Sequence[Chosen]
    encoder: Encoder
    rank: int = 0
    world: int = 1
    _kept: dict[int, Batch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the row groups."""
        self._open = {each.file: _opened(self.files[each.file]) for each in self.chosen}
        found = [group for each in self.chosen for group in chosen_groups(self._open[each.file], each)]
        self._groups = found[self.rank :: self.world]
        self._keep = self.rows * len(self.encoder.features) * 4 <= KEPT_BYTES

    @property
    def rows(self) -> int:
        """Rows in this share."""
        return sum(len(group.rows) for group in self._groups)

    @property
    def groups(self) -> int:
        """Row groups in this share."""
        return len(self._groups)

    @property
    def sizes(self) -> list[int]:
        """Rows of each batch."""
        return [len(group.rows) for group in self._groups]

    def labels(self) -> npt.NDArray[np.float64]:
        """Return the labels of this share, shape (n_rows,)."""
        found = [group.chosen.labels[group.first : group.last] for group in self._groups]
        return np.concatenate([np.empty(0), *found])

    def weights(self) -> npt.NDArray[np.float32] | None:
        """Return what the rows weigh, shape (n_rows,); None where all weigh the same."""
        found = [group.chosen.weights for group in self._groups]
        if any(each is None for each in found):
            return None
        parts = [
            each[group.first : group.last] for each, group in zip(found, self._groups, strict=True) if each is not None
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def __iter__(self) -> Iterator[Batch]:
        """Read the share once."""
        return (self.batch(number) for number in range(self.groups))

    def batch(self, number: int) -> Batch:
        """Return the rows of one row group."""
        batch = self._kept.get(number) or self._read(self._groups[number])
        if self._keep:
            self._kept[number] = batch
        return batch

    def forget(self) -> None:
        """Let go of what was kept, once an estimator has its own copy."""
        self._kept.clear()

    def _read(self, group: Group) -> Batch:
        chosen = group.chosen
        rows = self._open[chosen.file].read_row_group(group.number, columns=list(self.encoder.features))
        if len(group.rows) < group.size:
            rows = rows.take(group.rows)
        weights = None if chosen.weights is None else chosen.weights[group.first : group.last]
        return Batch(self.encoder.matrix(rows), chosen.labels[group.first : group.last], weights)


def _opened(file: Path) -> pq.ParquetFile:
    return pq.ParquetFile(file, page_checksum_verification=True)
