"""Feature rows, label rows and the two joined: the one way that every stage reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date

import duckdb
import pyarrow as pa

from incumbent.config import LOCAL_DATE, Label, Model
from incumbent.features.build import rows_beside
from incumbent.features.compute import open_duckdb, quoted
from incumbent.features.labels import check_classes, label_query, told_of_label, two_labels
from incumbent.partitions import end_of
from incumbent.records import Part, Snapshot
from incumbent.store import ModelStore, Table
from incumbent.store.log import PARTITION
from incumbent.store.removals import kept


def label_rows(store: ModelStore, model: Model, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    """Return keys and `label` (float64) of the outcomes that have a label.

    Args:
        store: The model's store.
        model: Its configuration; `label.sql` and `label.where` say what the truth is.
        partitions: Outcome partition keys, or exact contents.

    Raises:
        ConfigError: The label cannot be computed, is none of the classes, or a row has two.
    """
    return _labels(model, _outcomes(store, model, partitions))


def outcome_rows(store: ModelStore, model: Model, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    """Return the outcomes that have a label, with all their columns, and `label`: of several classes its name.

    Args:
        store: The model's store.
        model: Its configuration.
        partitions: Outcome partition keys, or exact contents.

    Raises:
        ConfigError: As of `label_rows`.
    """
    outcomes = _outcomes(store, model, partitions)
    others = [name for name in outcomes.column_names if name not in {*model.keys, "label", PARTITION}]
    found = _labels(model, outcomes, [*model.keys, *others])
    if not (classes := model.label.classes):
        return found
    names = pa.array(classes, pa.string()).take(found["label"].combine_chunks().cast(pa.int64()))
    return found.set_column(found.column_names.index("label"), "label", names)


def outcome_keys(store: ModelStore, model: Model, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    """Return each key whose outcome is in once, labelled or not (a cancelled flight counts).

    A key may have several rows, of which `label.where` chooses one: joined, they would count as several.
    """
    keys = list(model.keys)
    return _outcomes(store, model, partitions).select(keys).group_by(keys).aggregate([])


def feature_rows(store: ModelStore, definition: str, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    """Return feature rows of some partitions under one definition, with the `partition` column."""
    return _read(store.features(definition), partitions)


def labelled_rows(
    store: ModelStore,
    model: Model,
    snapshot: Snapshot,
    first_day: date | None = None,
    until_day: date | None = None,
    definition: str | None = None,
) -> pa.Table:
    """Return a snapshot's feature rows with their labels, sorted by key.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: Names the exact contents; each file is verified by digest.
        first_day: First local day; from the start if None.
        until_day: First local day that is left out; to the end if None.
        definition: Another definition (the champion's own), made from the same inputs; the snapshot's if None.

    Returns:
        Keys, time, features, `label` float64 and `local_date` date32.
    """
    # A partition that ends before the first day has no row to give.
    features = [
        Part(**part)
        for part in snapshot.features
        if first_day is None or end_of(part["partition"], model.grain).date() > first_day
    ]
    if definition is None or definition == snapshot.definition:
        rows = feature_rows(store, snapshot.definition, features).drop_columns([PARTITION])
    else:
        beside = [rows_beside(store, model, definition, snapshot.definition, part) for part in features]
        rows = pa.concat_tables(beside)
    outcomes = tuple(Part(**part) for part in snapshot.outcomes)
    labels = label_rows(store, as_snapped(model, snapshot), outcomes)
    joined = join_labels(model, rows, labels)
    return between(joined, first_day, until_day)


def as_snapped(model: Model, snapshot: Snapshot) -> Model:
    """Return the model with the label that the snapshot was taken for: an edit since is for the next one."""
    return model.model_copy(update={"label": Label.model_validate(snapshot.label)})


def as_kept(store: ModelStore, model: Model, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with what erasures have left of its contents: to look at, never to train on."""
    features, outcomes = store.features(snapshot.definition).name, store.outcomes(model.outcome_source).name
    return replace(
        snapshot,
        features=tuple(asdict(kept(store.records, features, Part(**part))) for part in snapshot.features),
        outcomes=tuple(asdict(kept(store.records, outcomes, Part(**part))) for part in snapshot.outcomes),
    )


def join_labels(model: Model, rows: pa.Table, labels: pa.Table) -> pa.Table:
    """Return feature rows that have a label, with `label` and `local_date`, sorted by key."""
    connection = open_duckdb()
    try:
        connection.register("rows", rows)
        connection.register("labels", labels)
        time = quoted([model.time])
        # `*` keeps the definition's column order, which is the model's.
        query = (
            f"SELECT rows.*, labels.label, (rows.{time} AT TIME ZONE '{model.timezone}')::DATE AS local_date "
            f"FROM rows JOIN labels USING ({quoted(model.keys)}) ORDER BY {quoted(model.keys)}"
        )
        return connection.sql(query).to_arrow_table()
    finally:
        connection.close()


def with_local_date(model: Model, rows: pa.Table) -> pa.Table:
    """Return rows with `local_date`, the day of their time in the model's zone, in their order."""
    connection = open_duckdb()
    try:
        connection.register("rows", rows.select([model.time]))  # a projection keeps the order
        query = f"SELECT ({quoted([model.time])} AT TIME ZONE '{model.timezone}')::DATE AS day FROM rows"
        return rows.append_column(LOCAL_DATE, connection.sql(query).to_arrow_table()["day"])
    finally:
        connection.close()


def between(rows: pa.Table, first_day: date | None, until_day: date | None) -> pa.Table:
    """Return the rows whose `local_date` lies in a half-open interval of days."""
    import pyarrow.compute as pc

    mask = None
    if first_day is not None:
        mask = pc.greater_equal(rows["local_date"], pa.scalar(first_day))
    if until_day is not None:
        before = pc.less(rows["local_date"], pa.scalar(until_day))
        mask = before if mask is None else pc.and_(mask, before)
    return rows if mask is None else rows.filter(mask)


def _read(table: Table, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    parts = [part for part in partitions if isinstance(part, Part)]
    return table.read_parts(parts) if parts else table.read([key for key in partitions if isinstance(key, str)])


def _outcomes(store: ModelStore, model: Model, partitions: Sequence[str] | Sequence[Part]) -> pa.Table:
    return _read(store.outcomes(model.outcome_source), partitions)


def _labels(model: Model, outcomes: pa.Table, columns: Sequence[str] = ()) -> pa.Table:
    connection = open_duckdb()
    try:
        connection.register("outcomes", outcomes)
        with told_of_label(model, outcomes.column_names):
            check_classes(connection, model, "outcomes")
            labels = connection.sql(label_query(model, "outcomes", columns)).to_arrow_table()
            _check_keys(connection, model, labels)
        return labels
    finally:
        connection.close()


def _check_keys(connection: duckdb.DuckDBPyConnection, model: Model, labels: pa.Table) -> None:
    """Refuse two labels of one row: a join would repeat the row."""
    connection.register("labels", labels)
    keys = quoted(model.keys)
    twice = connection.execute(f"SELECT {keys} FROM labels GROUP BY {keys} HAVING count(*) > 1 LIMIT 1").fetchall()
    if twice:
        raise two_labels(model, twice[0])
