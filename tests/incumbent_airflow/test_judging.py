"""What MONITOR compares a partition with: kept once made, and of earlier partitions only the good ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.incumbent_airflow.test_multiclass import (
    CONTRACT,
    FEBRUARY,
    JANUARY,
    MARCH,
    SQL,
    WITHOUT_RECORDS,
    candidate,
    deliver,
    model_of,
    scored,
    small_settings,
)

from incumbent.config import ModelFolder
from incumbent.features.profile import Profile
from incumbent.monitor import DriftVerdict
from incumbent.records import Hold, ModelVersion, canonical_json
from incumbent.store.check import check_model
from incumbent.verdict_names import DRIFT_COUNTS, VERDICTS
from incumbent_airflow import judging
from incumbent_airflow.judging import judge
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
APRIL = "2020-04"


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Return a model with a champion, and February and March scored by it."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "features.sql").write_text(SQL)
    (folder / "contract.yaml").write_text(CONTRACT)
    made = Runtime(ModelFolder(path=folder, model=model_of(rounds=10)), small_settings(tmp_path))
    deliver(made, JANUARY)
    _, report, kind = candidate(made, JANUARY)
    assert kind == "promoted", report.sentence
    for month in (FEBRUARY, MARCH):
        deliver(made, month)
        scored(made, month)
    return made


def verdict(runtime: Runtime, month: str) -> DriftVerdict:
    judge(runtime, month)
    (name,) = runtime.store.records.names(VERDICTS, f"{month}/drift-")
    return runtime.store.records.get(DriftVerdict, name)


def version_of(runtime: Runtime) -> ModelVersion:
    champion = runtime.store.champion()
    assert champion is not None
    return runtime.store.records.get(ModelVersion, champion.version)


def test_a_partition_is_compared_with_the_training_and_the_good_ones_since(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = verdict(runtime, FEBRUARY)
    assert (first.batches, list(first.past), first.basis, first.tier) == (1, [], "uncalibrated", "none")

    def no_model(*_: Any) -> None:
        raise AssertionError("a model is read once for a version")

    monkeypatch.setattr("incumbent.estimators.predictor", no_model)
    monkeypatch.setattr("incumbent.estimators.splits", no_model)
    second = verdict(runtime, MARCH)
    assert (second.batches, list(second.past), second.basis) == (2, [FEBRUARY], "provisionally calibrated")
    assert {found.promise for found in check_model(runtime.store)} <= {WITHOUT_RECORDS}


def test_later_partitions_do_not_count(runtime: Runtime) -> None:
    verdict(runtime, MARCH)
    assert verdict(runtime, FEBRUARY).past == []


def test_a_batch_that_a_person_let_through_is_no_good_one(runtime: Runtime) -> None:
    batch = runtime.store.batches("events").part(FEBRUARY)
    assert batch is not None
    runtime.store.records.put(f"{FEBRUARY}-0", Hold(FEBRUARY, batch.digest, "d", (), "held, then released"))
    verdict(runtime, FEBRUARY)
    assert verdict(runtime, MARCH).past == []


def test_cells_are_those_of_the_champion(runtime: Runtime) -> None:
    verdict(runtime, FEBRUARY)
    version = version_of(runtime)
    record = runtime.store.records.get_plain("references", f"{version.digest}/2")
    cells = json.loads(runtime.store.objects.get(record["counts"]))["cells"]
    assert cells["kind"]["own"] == sorted(["a", "b", "c"], key=lambda level: cells["kind"]["own"].index(level))
    assert len(cells["x"]["edges"]) == 16, "thresholds of its trees, and not nine tenths"
    counted = runtime.store.records.get_plain(DRIFT_COUNTS, runtime.store.records.names(DRIFT_COUNTS)[0])
    assert {name: len(row) for name, row in counted["counts"].items()}["x"] == 16 + 4
    assert sum(counted["counts"]["x"]) == 6000


def test_a_profile_of_an_earlier_release_is_made_again(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    from incumbent.features import build

    kept = build.stored_profile

    def coarse(*arguments: Any) -> Profile | None:
        found = kept(*arguments)
        return found and Profile({name: replace(each, nulls=0) for name, each in found.columns.items()}, exact=False)

    judged = verdict(runtime, FEBRUARY)
    for kind in (VERDICTS, DRIFT_COUNTS):
        runtime.store.records.remove(kind, runtime.store.records.names(kind, FEBRUARY)[0])
    monkeypatch.setattr(build, "stored_profile", coarse)
    assert verdict(runtime, FEBRUARY) == judged


def test_a_version_without_a_training_set_has_no_reference(runtime: Runtime) -> None:
    adopted = replace(version_of(runtime), snapshot="")
    assert judging._reference(runtime, adopted).cells == {}
    canonical_json(judging._reference(runtime, adopted).to_json())
