"""Committed predictions by their key, found without reading a table: in an index that lies on this machine's disk.

A content is read once, verified, and written down sorted; what a request needs of it is then a few pages of a file
that is mapped into memory. Of ten million rows hardly any are in the process.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.erase.keys import Key
from incumbent.errors import PipelineError
from incumbent.provenance.rows import search_order
from incumbent.records import Part
from incumbent.score.write import MadeBy
from incumbent.serve.keys import Keys
from incumbent.store import ModelStore

BATCH_ROWS = 65_536
MADE = tuple(MadeBy.__dataclass_fields__)
WHO = "#made"  # no column has such a name


@dataclass(frozen=True)
class Indexed:
    """One content, row by row.

    Attributes:
        part: Its name.
        texts: Texts of its keys, sorted.
        places: Row of each of them.
        rows: Its rows in batches of one size, mapped into memory: what is predicted, and who made it as a number.
        made: What the rows say of who made them, by that number.
    """

    part: Part
    texts: pa.Array
    places: npt.NDArray[np.int64]
    rows: pa.RecordBatchFileReader | None
    made: tuple[Mapping[str, Any], ...]

    def at(self, text: str) -> dict[str, Any] | None:
        """Return the row of a key, or None."""
        at = bisect_left(self._range, text, key=lambda place: self.texts[place].as_py())
        if self.rows is None or at == len(self.texts) or self.texts[at].as_py() != text:
            return None
        batch, row = divmod(int(self.places[at]), BATCH_ROWS)
        found: dict[str, Any] = self.rows.get_batch(batch).slice(row, 1).to_pylist()[0]
        made = self.made[found.pop(WHO)]
        return {**found, **made}

    @property
    def _range(self) -> range:
        return range(len(self.texts))


class Published:
    """The predictions of a model that stand, by key.

    Args:
        store: The model's store.
        model: Its configuration.
        keys: How keys are written.
        newest: How many partitions are looked at, the newest; all if None.
    """

    def __init__(self, store: ModelStore, model: Model, keys: Keys, newest: int | None = None) -> None:
        self._store, self._model, self._keys, self._newest = store, model, keys, newest
        self._contents: Mapping[str, Indexed] = {}
        self.problems: Mapping[str, PipelineError] = {}

    @property
    def rows(self) -> int:
        """How many rows can be answered."""
        return sum(each.part.rows for each in self._contents.values())

    def refresh(self) -> None:
        """Take in what was committed since: from one moment to the next, partition by partition.

        A content that cannot be read is told in `problems`, and what stood before is answered on.
        """
        parts = self._store.predictions.parts()
        wanted = sorted(parts, reverse=True)[: self._newest]
        kept = {name: found for name, found in self._contents.items() if name in wanted}
        problems = dict[str, PipelineError]()
        for name in wanted:
            if name in kept and kept[name].part == parts[name]:
                continue
            try:
                kept[name] = index(self._store, parts[name], self._keys, self._model.time)
            except PipelineError as error:
                problems[name] = error
            self._contents = dict(kept)
        self._contents, self.problems = kept, problems

    def find(self, values: Mapping[str, Any], partition: str | None = None) -> dict[str, Any] | None:
        """Return what is published of a key: prediction, what made it, partition and content; None if nothing is.

        Args:
            values: The key as the contract has it.
            partition: Where to look; if None that of the key's own date first, then the newest that has it.
        """
        stored = self._keys.stored(values)
        text, contents = self._keys.text(stored), self._contents
        for name in self._places(contents, stored) if partition is None else [partition]:
            if name in contents and (row := contents[name].at(text)) is not None:
                return {**row, "partition": name, "content": contents[name].part.digest}
        return None

    def _places(self, contents: Mapping[str, Indexed], stored: Mapping[str, str]) -> Sequence[str]:
        return search_order(self._model, list(contents), Key(stored, {}))


def index(store: ModelStore, part: Part, keys: Keys, time: str) -> Indexed:
    """Return a content, read and verified, as it is looked into.

    Raises:
        StoreError: It is gone or has changed.
    """
    made: list[Mapping[str, Any]] = []
    texts: list[pa.Array] = []
    with tempfile.TemporaryDirectory(prefix="incumbent-serve-") as folder:  # what is mapped outlives its name
        file = Path(folder) / "rows.arrow"
        writer = None
        for batch in _whole(store.predictions.batches(part, BATCH_ROWS), BATCH_ROWS):
            texts.append(keys.texts(batch))
            told = _told(batch, made, {*keys.columns, time})
            writer = writer or pa.ipc.new_file(str(file), told.schema)
            writer.write_batch(told)
        if writer is None:
            return Indexed(part, pa.array([], pa.large_string()), np.empty(0, np.int64), None, ())
        writer.close()
        every = pa.concat_arrays([each.cast(pa.large_string()) for each in texts])
        order = pc.array_sort_indices(every).cast(pa.int64())
        names = Path(folder) / "keys.arrow"
        _write(names, every.take(order))
        return Indexed(part, _read(names), order.to_numpy(), pa.ipc.open_file(pa.memory_map(str(file))), tuple(made))


def _whole(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of exactly so many rows, but for the last: a row's place then says its batch."""
    left: list[pa.RecordBatch] = []
    for batch in batches:
        left.append(batch)
        while sum(each.num_rows for each in left) >= rows:
            whole = pa.Table.from_batches(left).combine_chunks()
            yield whole.slice(0, rows).combine_chunks().to_batches()[0]
            left = whole.slice(rows).combine_chunks().to_batches()
    if any(each.num_rows for each in left):
        yield pa.Table.from_batches(left).combine_chunks().to_batches()[0]


def _told(batch: pa.RecordBatch, made: list[Mapping[str, Any]], without: set[str]) -> pa.RecordBatch:
    """Return what is answered of some rows; who made them, which is long and nearly always the same, as a number."""
    table = pa.Table.from_batches([batch])
    numbers = np.zeros(table.num_rows, np.int32)
    for who in table.select(list(MADE)).group_by(list(MADE)).aggregate([]).to_pylist():
        if who not in made:
            made.append(who)
        mine = np.ones(table.num_rows, bool)
        for name, value in who.items():
            mine &= np.asarray(pc.equal(table[name], value))
        numbers[mine] = made.index(who)
    rows = table.select([name for name in table.column_names if name not in {*without, *MADE}])
    return rows.append_column(WHO, pa.array(numbers)).combine_chunks().to_batches()[0]


def _write(file: Path, values: pa.Array) -> None:
    batch = pa.RecordBatch.from_arrays([values], ["key"])
    with pa.ipc.new_file(str(file), batch.schema) as writer:
        writer.write_batch(batch)


def _read(file: Path) -> pa.Array:
    return pa.ipc.open_file(pa.memory_map(str(file))).get_batch(0).column(0)
