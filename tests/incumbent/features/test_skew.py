"""Training and scoring read the same rows, bit for bit: in another process, and whatever a partition is."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.features.build import build_window
from incumbent.features.compute import plain_types
from incumbent.features.definition import register
from incumbent.features.rows import labelled_rows
from incumbent.partitions import Grain, key_of
from incumbent.records import ModelVersion, Promotion, digest_of
from incumbent.score import score
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store, generation_name

pytestmark = pytest.mark.unit
FOLDER = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay")
# A week that begins in one month and in one week of the calendar, and ends in the next of both.
DAYS = [date(2013, 1, 31), *(date(2013, 2, day) for day in range(1, 7))]
LABEL = {"label", "local_date"}


def at_grain(grain: Grain) -> Model:
    """Return the shipped model with another partition: one word of its configuration."""
    plain = FOLDER.model.model_dump(mode="json") | {"grain": grain, "start": key_of(DAYS[0], grain), "end": None}
    # A Saturday is not like a Friday: against a few days of history one is held, and a week or a month is not.
    plain["integrity"] |= {"null_increase": 1, "out_of_range": 1, "unseen": 1}
    return Model.model_validate(plain)


@pytest.fixture(scope="module")
def sources() -> dict[str, pa.Table]:
    """Accepted rows of each source, for a week; of the weather also the evening before."""
    found = {}
    for source in raw_data.KEYED:
        frame = getattr(raw_data, source)()
        days = pd.to_datetime(frame[["year", "month", "day"]])
        first = pd.Timestamp(DAYS[0]) - pd.Timedelta(days=int(source == "weather"))
        chosen = frame[(days >= first) & (days <= pd.Timestamp(DAYS[-1]))]
        found[source] = plain_types(pa.Table.from_pandas(chosen, preserve_index=False))
    return found


def built(root: Path, sources: dict[str, pa.Table], grain: Grain) -> tuple[ModelStore, str]:
    """Deliver the week at a grain and compute its features."""
    store, model = Store(root).model(FOLDER.model.name), at_grain(grain)
    for source in raw_data.ONCE:
        store.context(source).replace("once", pa.csv.read_csv(raw_data.write_once(root / "raw", source)))
    for source, rows in sources.items():
        days = zip(*(rows[name].to_pylist() for name in ("year", "month", "day")), strict=True)
        keys = [key_of(date(*day), grain) for day in days]
        for key in sorted(set(keys)):
            table = store.source(model.sources[source].role, source)
            table.replace(key, rows.filter(pa.array([found == key for found in keys])))
    definition = register(store, model, FOLDER.features_sql)
    assert build_window(store, model, definition, key_of(DAYS[-1], grain))
    return store, definition


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory, sources: dict[str, pa.Table]) -> tuple[ModelStore, str]:
    return built(tmp_path_factory.mktemp("weekly"), sources, Grain.WEEK)


def one_order(rows: pa.Table) -> pa.Table:
    """Return rows by key, without what training adds to them."""
    kept = rows.drop_columns([name for name in rows.column_names if name in LABEL | {"partition"}])
    return kept.sort_by([(name, "ascending") for name in FOLDER.model.keys]).combine_chunks()


def as_bytes(rows: pa.Table) -> bytes:
    """Return rows as Arrow writes them: equal bytes are equal bits, NaN and the sign of 0 too."""
    sink = pa.BufferOutputStream()
    # What lies under a null is no value: cleared, so that only values are compared.
    rows = pa.table({name: pa.array(rows[name].to_pylist(), rows[name].type) for name in rows.column_names})
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def trained_and_scored(store: ModelStore, definition: str) -> tuple[pa.Table, pa.Table]:
    """Return the rows that a training of the window reads, and those that scoring gives to the model."""
    model, last = at_grain(Grain.WEEK), key_of(DAYS[-1], Grain.WEEK)
    snapshot = take(store, model, definition, last, "r", {})
    trained = labelled_rows(store, model, snapshot, unlabelled=True)
    if store.champion() is None:
        names = tuple(name for name in trained.column_names if name not in {*model.keys, model.time, *LABEL})
        version = ModelVersion(
            "1" * 64, model.name, "xgboost", "binary", definition, snapshot.id, names, {}, {}, 1, 1, "2013-02-01", {}
        )
        store.records.put(version.digest, version)
        promotion = Promotion(1, version.digest, 0, "", "promote", "a test")
        store.records.put(generation_name(1), promotion)
    scored: list[pa.Table] = []

    def predict(version: ModelVersion, rows: pa.Table) -> np.ndarray:
        scored.append(rows)
        return np.zeros(rows.num_rows)

    for partition in store.features(definition).parts():
        score(store, model, partition, predict, generation=1)
    return trained, pa.concat_tables(scored)


def test_training_and_scoring_read_the_same_bits(weekly: tuple[ModelStore, str]) -> None:
    trained, scored = (one_order(rows) for rows in trained_and_scored(*weekly))
    assert trained.num_rows == scored.num_rows > 5_000
    assert trained.schema == scored.schema
    assert as_bytes(trained) == as_bytes(scored)


def test_so_does_another_process(weekly: tuple[ModelStore, str]) -> None:
    store, definition = weekly
    here = [digest_of(as_bytes(one_order(rows))) for rows in trained_and_scored(store, definition)]
    command = [sys.executable, __file__, str(store.work.parent), definition]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root, env={"PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == here


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_rows_are_the_same_by_day_by_week_and_by_month(
    tmp_path: Path, sources: dict[str, pa.Table], weekly: tuple[ModelStore, str], grain: Grain
) -> None:
    expected = one_order(weekly[0].features(weekly[1]).read())
    found = one_order(built(tmp_path, sources, grain)[0].features(weekly[1]).read())
    different = [
        name for name in expected.column_names if as_bytes(found.select([name])) != as_bytes(expected.select([name]))
    ]
    assert different == []


def main(root: str, definition: str) -> None:
    """Print the digests of what training and scoring read, for a process of its own."""
    rows = trained_and_scored(Store(Path(root)).model(FOLDER.model.name), definition)
    sys.stdout.write(" ".join(digest_of(as_bytes(one_order(each))) for each in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
