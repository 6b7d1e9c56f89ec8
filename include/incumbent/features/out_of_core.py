"""A snapshot's rows without holding them: its files, its labels in a database, and as many rows as can be held."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from incumbent.config import LOCAL_DATE, Model
from incumbent.features.compute import literal, open_over, quoted
from incumbent.features.labels import check_classes, label_query, told_of_label
from incumbent.features.rows import as_snapped
from incumbent.records import Part, Snapshot
from incumbent.room import enough_room
from incumbent.store import ModelStore
from incumbent.store.log import PARTITION

MOST_VALUES = 25_000_000  # a million rows of 25 columns


@contextmanager
def snapshot_files(store: ModelStore, snapshot: Snapshot) -> Iterator[list[Path]]:
    """Give the files of a snapshot's features, in its order and each verified by digest, until the end.

    Raises:
        StoreError: One is gone or has changed.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-train-") as folder:
        parts = [Part(**part) for part in snapshot.features]
        yield store.features(snapshot.definition).files(parts, Path(folder) / "features")


@contextmanager
def labels_known(
    store: ModelStore, model: Model, snapshot: Snapshot, files: Sequence[Path], one_in: int = 1
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database of the view `outcomes`, and the table `labels`, of the label that the snapshot was taken for.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: Names the outcomes.
        files: Other files that the database may read.
        one_in: Take the outcomes of so many keys each one, always the same; all of them if 1.

    Raises:
        ConfigError: The label cannot be computed, or is none of the classes.
        UnavailableError: There is no room for them.
    """
    model = as_snapped(model, snapshot)
    parts = [Part(**part) for part in snapshot.outcomes]
    table = store.outcomes(model.outcome_source)
    with tempfile.TemporaryDirectory(prefix="incumbent-labels-") as private:
        folder = Path(private)
        outcomes = table.files(parts, folder / "outcomes")
        connection = open_over({"features": list(files), "outcomes": outcomes}, folder / "spilled", threads=None)
        try:
            each = [
                f"SELECT *, '{part.partition}' AS {PARTITION} "
                f"FROM read_parquet({literal(file)}, hive_partitioning=false)"
                for part, file in zip(parts, outcomes, strict=True)
            ]
            where = f"model {model.name}, labels of snapshot {snapshot.id[:16]}"
            with told_of_label(model, table.columns()), enough_room(where, "train on fewer partitions: train.window"):
                drawn = f" WHERE hash({quoted(model.keys)}) % {one_in} = 0" if one_in > 1 else ""
                connection.execute(f"CREATE VIEW outcomes AS SELECT * FROM ({' UNION ALL '.join(each)}){drawn}")
                check_classes(connection, model, "outcomes")
                connection.execute(f"CREATE TABLE labels AS {label_query(model, 'outcomes')}")
            yield connection
        finally:
            connection.close()


def labelled_sample(store: ModelStore, model: Model, snapshot: Snapshot, most_values: int = MOST_VALUES) -> pa.Table:
    """Return a snapshot's training rows with their labels, or as many of them as can be held, sorted by key.

    A look at rows needs no hundred million of them. They are drawn by key, so each look has the same ones, and each
    row the same chance. Rows of the same days whose outcome is in and has no label (a cancelled flight) come too.

    Args:
        store: The model's store.
        model: Its configuration.
        snapshot: Names the exact contents; each file is verified by digest.
        most_values: About so many rows times columns are drawn of more than so many.

    Returns:
        Keys, time, features, `label` float64, null where the outcome has none, and `local_date` date32.

    Raises:
        ConfigError: The label cannot be computed, or is none of the classes.
        UnavailableError: There is no room to join the keys.
    """
    values = sum(part["rows"] for part in snapshot.features) * len(store.features(snapshot.definition).columns())
    one_in, keys = max(math.ceil(values / most_values), 1), quoted(model.keys)
    with (
        snapshot_files(store, snapshot) as files,
        labels_known(store, model, snapshot, files, one_in) as connection,
        enough_room(f"model {model.name}, training rows", "train on fewer partitions: train.window"),
    ):
        day = f"(each.{quoted([model.time])} AT TIME ZONE '{model.timezone}')::DATE"
        return connection.sql(
            f"SELECT each.*, labels.label, {day} AS {LOCAL_DATE} "
            f"FROM read_parquet([{', '.join(map(literal, files))}], hive_partitioning=false) AS each "
            f"JOIN (SELECT DISTINCT {keys} FROM outcomes) USING ({keys}) LEFT JOIN labels USING ({keys}) "
            f"WHERE {day} < DATE '{snapshot.train_until}' ORDER BY {keys}"
        ).to_arrow_table()
