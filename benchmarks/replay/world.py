"""The rows of a history, dealt to the partitions of a grain; and the same rows with nothing left to find in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.replay.history import History
from incumbent.config import LOCAL_DATE, Model
from incumbent.partitions import Grain, key_of

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class World:
    """Rows with the key, the day and the truth that each has here.

    What a row says (its features) stands at its place in the history's file, and never moves: a model's prediction of
    it is the same in every world. Keys, days and labels may be others than they were.

    Attributes:
        history: Where the features are.
        model: The folder's configuration at the grain of this world.
        features: Columns of the features, in file order.
        slots: Keys, time and `local_date` of each row.
        labels: The truth; NaN where there is none.
        known: Whether the outcome of a row comes in at all.
    """

    history: History
    model: Model
    features: pa.Table
    slots: pa.Table
    labels: Floats
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, history: History, grain: Grain | None = None) -> World:
        """Return the world as it was."""
        rows = history.table()
        days = rows[LOCAL_DATE].to_pylist()
        model = at_grain(history.folder.model, grain, days[0], days[-1])
        slots = rows.select([*model.keys, model.time, LOCAL_DATE]).combine_chunks()
        labels = np.asarray(rows["label"].cast(pa.float64()), dtype=np.float64)
        known = np.asarray(rows["known"], dtype=bool)
        return cls(history, model, rows.select(history.features).combine_chunks(), slots, labels, known)

    @cached_property
    def days(self) -> Places:
        """Local day of each row, counted from 1970."""
        return np.asarray(self.slots[LOCAL_DATE].cast(pa.int32()), dtype=np.int64)

    @cached_property
    def partitions(self) -> Mapping[str, Places]:
        """Partition to the places of its rows, in time order."""
        days, each = np.unique(self.days, return_inverse=True)
        keys = [key_of(EPOCH + timedelta(days=int(day)), self.model.grain) for day in days]
        names = sorted(set(keys))
        code = np.array([names.index(key) for key in keys])[each]
        order = np.argsort(code, kind="stable")
        found = np.split(order, np.searchsorted(code[order], np.arange(1, len(names))))
        return dict(zip(names, found, strict=True))

    def between(self, first: date | None, until: date) -> Places:
        """Return the places of the rows of some days, with a label or without."""
        low = -1 if first is None else (first - EPOCH).days
        return np.flatnonzero((self.days >= low) & (self.days < (until - EPOCH).days))

    def labelled(self, places: Places) -> Places:
        """Return those of some places that have a label."""
        return places[np.isfinite(self.labels[places])]

    def rows(self, places: Places) -> pa.Table:
        """Return rows as the stages have them: keys, time, features, `local_date`, `label` (null without one)."""
        taken = self.slots.take(places)
        for name in self.history.features:
            taken = taken.append_column(name, self.features[name].take(places))
        return taken.append_column("label", pa.array(self.labels[places], pa.float64(), from_pandas=True))

    def with_model(self, model: Model) -> World:
        """Return the same rows under another configuration."""
        return replace(self, model=model)

    def dealt_anew(self, seed: int) -> World:
        """Return the world in which each row came on some other row's day, so that no day is like another."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        return replace(self, slots=self.slots.take(order))

    def with_other_labels(self, seed: int) -> World:
        """Return the world in which each labelled row has some other row's label, so that nothing can be learned."""
        labels, there = self.labels.copy(), np.flatnonzero(np.isfinite(self.labels))
        labels[there] = np.random.default_rng(seed).permutation(labels[there])
        return replace(self, labels=labels)


def at_grain(model: Model, grain: Grain | None, first: date, last: date) -> Model:
    """Return a model with another grain and nothing else changed."""
    if grain is None or grain is model.grain:
        return model
    plain: dict[str, Any] = model.model_dump(mode="json")
    ends = {"grain": grain, "start": key_of(first, grain), "end": key_of(last, grain)}
    found = Model.model_validate(plain | ends)
    return found.with_functions(model.functions)
