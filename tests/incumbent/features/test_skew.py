"""Training and scoring read the same rows, bit for bit: in another process, and whatever a partition is."""

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.incumbent.validate.conftest import read_here

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.features.build import build_window
from incumbent.features.definition import register
from incumbent.features.out_of_core import labelled_sample
from incumbent.partitions import Grain, key_of
from incumbent.records import ModelVersion, Promotion, digest_of
from incumbent.score import score
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store, generation_name
from incumbent.validate import ingest, load_contract
from incumbent.validate.contract import source_contract

pytestmark = pytest.mark.unit
FOLDER = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay")
# A week that begins in one month and in one week of the calendar, and ends in the next of both.
DAYS = [date(2013, 1, 31), *(date(2013, 2, day) for day in range(1, 7))]
TWO_MONTHS = [date(2013, 4, 15) + timedelta(days=day) for day in range(60)]
LABEL = {"label", "local_date"}


def at_grain(grain: Grain, start: date = DAYS[0]) -> Model:
    """Return the shipped model with another partition: one word of its configuration."""
    plain = FOLDER.model.model_dump(mode="json") | {"grain": grain, "start": key_of(start, grain), "end": None}
    # A Saturday is not like a Friday: against a few days of history one is held, and a week or a month is not.
    plain["integrity"] |= {"null_increase": 1, "out_of_range": 1, "unseen": 1}
    return Model.model_validate(plain)


@pytest.fixture(scope="module")
def sources() -> dict[str, pa.Table]:
    return raw_rows(DAYS)


def raw_rows(days: list[date]) -> dict[str, pa.Table]:
    """Return some days' rows of each source; of the weather also the evening before."""
    found = {}
    for source in raw_data.KEYED:
        frame = getattr(raw_data, source)()
        dates = pd.to_datetime(frame[["year", "month", "day"]])
        first = pd.Timestamp(days[0]) - pd.Timedelta(days=int(source == "weather"))
        chosen = frame[(dates >= first) & (dates <= pd.Timestamp(days[-1]))]
        found[source] = pa.Table.from_pandas(chosen, preserve_index=False)
    return found


def built(root: Path, sources: dict[str, pa.Table], grain: Grain, days: list[date] = DAYS) -> tuple[ModelStore, str]:
    """Deliver some days at a grain and compute their features."""
    store, model = Store(root).model(FOLDER.model.name), at_grain(grain, days[0])

    def deliver(source: str, key: str, file: Path) -> None:
        contract = source_contract(load_contract(FOLDER.contract_path), model, source)
        with read_here():
            assert ingest(store, model, contract, source, key, file).verdict == "accepted"

    for source in raw_data.ONCE:
        deliver(source, "", raw_data.write_once(root / "raw", source))
    for source, rows in sources.items():
        dates = zip(*(rows[name].to_pylist() for name in ("year", "month", "day")), strict=True)
        keys = pa.array([key_of(date(*each), grain) for each in dates])
        for key in sorted(set(keys.to_pylist())):
            pq.write_table(rows.filter(pc.equal(keys, key)), file := root / "raw" / f"{source}-{key}.parquet")
            deliver(source, key, file)
    definition = register(store, model, FOLDER.features_sql)
    assert build_window(store, model, definition, key_of(days[-1], grain))
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
    trained = labelled_sample(store, model, replace(snapshot, train_until="2014-01-01"))
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
    assert different(built(tmp_path, sources, grain), weekly) == []


@pytest.mark.slow
def test_so_are_those_of_two_months(tmp_path: Path) -> None:
    sources = raw_rows(TWO_MONTHS)
    by_week, *others = (
        built(tmp_path / grain, sources, grain, TWO_MONTHS) for grain in (Grain.WEEK, Grain.DAY, Grain.MONTH)
    )
    for other in others:
        assert different(other, by_week) == []


def different(found: tuple[ModelStore, str], expected: tuple[ModelStore, str]) -> list[str]:
    """Return the columns in which the features of two stores differ."""
    ours, theirs = (one_order(store.features(definition).read()) for store, definition in (found, expected))
    assert ours.num_rows == theirs.num_rows
    return [name for name in theirs.column_names if as_bytes(ours.select([name])) != as_bytes(theirs.select([name]))]


def main(root: str, definition: str) -> None:
    """Print the digests of what training and scoring read, for a process of its own."""
    rows = trained_and_scored(Store(Path(root)).model(FOLDER.model.name), definition)
    sys.stdout.write(" ".join(digest_of(as_bytes(one_order(each))) for each in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
