"""The rows that a training learns from. They stay in the snapshot's files: what is kept of each is where it lies.

A join of all columns would need room for all of them, and each worker of a group reads its own share. So only keys
are joined, and what comes out is positions, labels and weights: some bytes a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from incumbent.config import LOCAL_DATE, Model
from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.shards import Chosen, chosen_groups
from incumbent.features.build import feature_columns
from incumbent.features.compute import literal, quoted
from incumbent.features.labels import two_labels
from incumbent.features.out_of_core import labels_known
from incumbent.records import Snapshot
from incumbent.room import enough_room
from incumbent.sensitive import quotable
from incumbent.store import ModelStore
from incumbent.store.data_files import is_text
from incumbent.train.own_split import chosen_for_validation, is_own_split

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class TrainingRows:
    """What is learned from, and what says when to stop.

    Attributes:
        train: Rows to learn from, by file, in partition order.
        validation: Newer rows, an embargo later, or those that `split` of model.py chooses; none where training never
            stops early.
        features: Names of the features, in the definition's order.
        newest: Local day of the newest row to learn from; None if there is none.
    """

    train: tuple[Chosen, ...]
    validation: tuple[Chosen, ...]
    features: tuple[str, ...]
    newest: date | None = None

    @property
    def count(self) -> int:
        """Rows to learn from."""
        return sum(len(each.positions) for each in self.train)

    def labels(self) -> npt.NDArray[np.float64]:
        """Return the labels to learn from, shape (n_rows,)."""
        return np.concatenate([np.empty(0), *(each.labels for each in self.train)])

    def learn_encoder(self, files: Sequence[Path]) -> Encoder:
        """Return the encoding of the features; its vocabulary is what the rows to learn from hold."""
        levels: dict[str, set[str]] = {}
        for each in self.train:
            file = pq.ParquetFile(files[each.file], page_checksum_verification=True)
            schema = file.schema_arrow  # made anew by each asking
            text = [name for name in self.features if is_text(schema.field(name).type)]
            levels |= {name: set() for name in text if name not in levels}
            for group in chosen_groups(file, each) if text else ():
                found = file.read_row_group(group.number, columns=text).take(group.rows)
                for name in text:
                    levels[name] |= set(found[name].unique().to_pylist()) - {None}
        return Encoder(self.features, {name: tuple(sorted(levels[name])) for name in self.features if name in levels})


@dataclass(frozen=True)
class Days:
    """Local days that rows are chosen by.

    Attributes:
        since: First day, as ISO date; empty for the first that there is.
        last: First day of the embargo after the rows to learn from.
        first: First day of the validation rows.
        until: First day of no row any more.
    """

    since: str
    last: date
    first: date
    until: date

    @property
    def where(self) -> str:
        """Condition on a row's local day."""
        new = f"({LOCAL_DATE} >= DATE '{self.first}' AND {LOCAL_DATE} < DATE '{self.until}')"
        chosen = f"({LOCAL_DATE} < DATE '{self.last}' OR {new})"
        return f"{chosen} AND {LOCAL_DATE} >= DATE '{self.since}'" if self.since else chosen


def choose_rows(
    store: ModelStore, model: Model, snapshot: Snapshot, files: Sequence[Path], since: str = ""
) -> TrainingRows:
    """Choose the rows that have a label and are old enough.

    Args:
        store: The model's store.
        model: Its configuration; `train.weight` and `train.validation_days` among it.
        snapshot: Names the exact contents.
        files: Of its features.
        since: First local day whose rows are chosen (ISO date); empty for all.

    Raises:
        ConfigError: The label cannot be computed, or a row has two.
        TrainingError: A weight cannot be computed, or is none.
        UnavailableError: There is no room to join the keys.
    """
    until = date.fromisoformat(snapshot.train_until)
    first = None if is_own_split(model) else validation_from(model, until)
    last = until if first is None else first - timedelta(days=model.embargo_days)
    train, validation, newest = [], [], []
    with labels_known(store, model, snapshot, files) as connection:
        for number, file in enumerate(files):
            old, new, day = _choose(connection, model, (number, file), Days(since, last, first or until, until))
            train += [old] if len(old.positions) else []
            newest += [day] if len(old.positions) else []
            validation += [new] if len(new.positions) else []
    schema = pq.read_schema(files[0]).empty_table()
    names = tuple(feature_columns(model, schema))
    return TrainingRows(tuple(train), tuple(validation), names, max(newest, default=None))


def validation_from(model: Model, until: date) -> date | None:
    """Return the first day of the rows that say when to stop; None if training never stops early."""
    days = model.train.validation_days
    return None if model.train.early_stopping is None else until - timedelta(days=days)


def _choose(
    connection: duckdb.DuckDBPyConnection, model: Model, file: tuple[int, Path], wanted: Days
) -> tuple[Chosen, Chosen, date]:
    """Return a file's rows to learn from, its validation rows, and the newest day of the former.

    With a `split` of the folder's own it says which are which.
    """
    number, path = file
    weight = model.train.weight
    query = (
        f"SELECT file_row_number::INTEGER AS position, label, {LOCAL_DATE} >= DATE '{wanted.first}' AS is_new, "
        f"date_diff('day', DATE '{EPOCH}', {LOCAL_DATE})::INTEGER AS day"
        + (f", ({weight})::DOUBLE AS weight " if weight else " ")
        + f"FROM (SELECT each.*, labels.label, (each.{quoted([model.time])} AT TIME ZONE '{model.timezone}')::DATE "
        f"AS {LOCAL_DATE} FROM read_parquet({literal(path)}, file_row_number=true, hive_partitioning=false) AS each "
        f"JOIN labels USING ({quoted(model.keys)})) WHERE {wanted.where} ORDER BY position"
    )
    with _told_of_weight(model), enough_room(f"model {model.name}, labels", "train on fewer partitions: train.window"):
        found = connection.sql(query).fetchnumpy()
    positions = np.asarray(found["position"], dtype=np.int32)
    if (twice := positions[1:][positions[1:] == positions[:-1]]).size:
        row = pq.read_table(path, columns=list(model.keys)).slice(int(twice[0]), 1).to_pylist()[0]
        raise two_labels(model, [row[name] for name in model.keys])
    labels = np.asarray(found["label"], dtype=np.float64)
    weights = _weights(model, found["weight"]) if weight else None
    is_new, days = np.asarray(found["is_new"], dtype=bool), np.asarray(found["day"], dtype=np.int32)
    if is_own_split(model) and len(positions):
        is_new = chosen_for_validation(model, path, positions, labels, days)

    def of(mask: npt.NDArray[np.bool_]) -> Chosen:
        return Chosen(number, positions[mask], labels[mask], None if weights is None else weights[mask])

    newest = int(np.max(days[~is_new], initial=0))
    return of(~is_new), of(is_new), EPOCH + timedelta(days=newest)


def _weights(model: Model, found: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    weights = np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)
    if (bad := int((~(np.isfinite(weights) & (weights >= 0))).sum())) or not len(weights):
        raise TrainingError(
            "weights that are no weights",
            where=f"model {model.name}: train.weight",
            expected="a finite number from 0 on in each row",
            found=f"{bad} of {len(weights)} are null, NaN, infinite or negative",
            next_step="correct train.weight in model.yaml, with coalesce(…) for what may be null",
        )
    return weights.astype(np.float32)


@contextmanager
def _told_of_weight(model: Model) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        hide = bool(model.sensitive.masked)
        raise TrainingError(
            "the weight of a row cannot be computed",
            where=f"model {model.name}: train.weight",
            expected="SQL over a feature row, `label` and `local_date`",
            found=quotable(error, hide),
            next_step="correct train.weight in model.yaml",
        ) from (None if hide else error)
