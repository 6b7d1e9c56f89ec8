"""After a promotion: the champion before is compared, and comes back on evidence or a fault."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from months import APRIL, FEBRUARY, JANUARY, MARCH, MAY, answered, commit, month, random_of, runtime_of
from small_training import small_model

from incumbent import estimators
from incumbent.config import Score
from incumbent.embedded.settings import Settings
from incumbent.errors import ModelError
from incumbent.monitor import shadow
from incumbent.monitor.shadow import ShadowVerdict, gaps_of
from incumbent.records import GateReport, ModelVersion, Promotion
from incumbent.retrain.requests import open_request, unanswered
from incumbent.score import ray_rows
from incumbent.score.ray_job import Scorer
from incumbent.score.ray_order import Work, write_order
from incumbent.store import ModelStore, generation_name
from incumbent.store.check import check_model
from incumbent.verdict_names import VERDICTS
from incumbent_airflow import seats, shadows, stages, training
from incumbent_airflow.judging import judge
from incumbent_airflow.runtime import Runtime
from incumbent_airflow.shadows import Shadow, ask_for_seat, probation_of, shadows_of

pytestmark = pytest.mark.unit
ROWS = 4000


def deliver(runtime: Runtime, key: str, knows: float = 1.0, *, outcomes: bool = True) -> None:
    """Commit a month whose labels follow the features as much as is said: not at all, or the other way round."""
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    kind = rng.choice(["a", "b", "c"], ROWS)
    chance = 1 / (1 + np.exp(-knows * (x - 0.5 * y + (kind == "c"))))
    late = rng.random(ROWS) < chance
    commit(runtime, key, month(key, x=x, y=y, kind=kind.tolist()), **({"late": late} if outcomes else {}))
    assert stages.build_features(runtime, key).part is not None


def fitted(runtime: Runtime, key: str) -> GateReport:
    request = open_request(runtime.store, key, "manual", {}, degraded=False, message="asked by a test")[0].id
    return answered(runtime, request)


def seat(runtime: Runtime, report: GateReport) -> None:
    """Give the seat to a candidate that was not promoted, although it is about as good."""
    assert report.verdict != "promote"
    generation = len(runtime.store.ledger()) + 1
    entry = Promotion(
        generation, report.candidate, generation - 1, report.id, "promote", "a test", partition=report.partition
    )
    runtime.store.records.put(generation_name(generation), entry)


def scored(runtime: Runtime, key: str) -> int:
    return seats.score_batch(runtime, key, None, f"run-{key}").generation


def started(folder: Path, **train: Any) -> Runtime:
    """Return a runtime whose first champion has learned from January."""
    model = small_model(**{"rounds": 15, "checkpoint_every": 15, "params": {"max_depth": 3}, **train})
    runtime = runtime_of(folder, model)
    deliver(runtime, JANUARY)
    assert fitted(runtime, JANUARY).verdict == "promote"
    return runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return started(tmp_path)


@pytest.fixture
def worse(runtime: Runtime) -> Runtime:
    """Return it with a second champion, from a February in which the world was upside down."""
    deliver(runtime, FEBRUARY, knows=-3.0)
    assert fitted(runtime, FEBRUARY).verdict == "promote"
    return runtime


def test_a_worse_champion_gives_the_seat_back_once(worse: Runtime) -> None:
    store = worse.store
    deliver(worse, MARCH)
    assert scored(worse, MARCH) == 2
    said = judge(worse, MARCH)["shadows"]
    assert "2020-03: the previous champion is better by 0." in said[0]
    outcome = seats.end_probation(worse)
    assert (outcome["generation"], outcome["version"]) == (3, store.promotion(1).version)
    assert outcome["affected"] == {MARCH: ROWS}
    assert store.ledger()[-1].reason == outcome["sentence"]
    assert "generation" not in seats.end_probation(worse), "it is told once"
    assert len(store.ledger()) == 3
    deliver(worse, APRIL)
    assert scored(worse, APRIL) == 3
    assert seats.score_again(worse, outcome["affected"], 3, "a run") == [MARCH]
    assert set(store.predictions.read([MARCH])["generation"].to_pylist()) == {3}
    assert [each for each in check_model(store) if "accepted rows" not in each.promise] == []


def test_one_that_only_has_a_harder_month_keeps_it(runtime: Runtime) -> None:
    deliver(runtime, FEBRUARY)
    seat(runtime, fitted(runtime, FEBRUARY))
    deliver(runtime, MARCH, knows=0.2)
    assert scored(runtime, MARCH) == 2
    judge(runtime, MARCH)
    found = probation_of(runtime)
    assert found is not None
    assert (found.open, found.looked, found.rolls_back) == (True, (MARCH,), False)
    assert "generation" not in seats.end_probation(runtime)


def test_it_is_only_said_where_a_person_decides(worse: Runtime) -> None:
    model = worse.model.model_copy(update={"rollback": worse.model.rollback.model_copy(update={"automatic": False})})
    asked = Runtime(worse.folder.model_copy(update={"model": model}), worse.settings)
    deliver(asked, MARCH)
    scored(asked, MARCH)
    judge(asked, MARCH)
    assert "roll back to generation 1 with small.rollback" in seats.end_probation(asked)["sentence"]
    assert len(asked.store.ledger()) == 2


def test_without_outcomes_the_means_are_compared(runtime: Runtime) -> None:
    deliver(runtime, FEBRUARY)
    seat(runtime, fitted(runtime, FEBRUARY))
    deliver(runtime, MARCH, outcomes=False)
    scored(runtime, MARCH)
    said = judge(runtime, MARCH)
    assert "not compared yet (outcomes are not in)" in said["shadows"][0]
    assert said["performance"] == "no outcomes yet"
    names = [name for name in runtime.store.records.names(VERDICTS) if "/shadow-" in name]
    verdict = runtime.store.records.get(ShadowVerdict, names[0])
    assert (verdict.judged, abs(verdict.gaps[""]) < 0.1) == (False, True)
    assert not probation_of(runtime).rolls_back  # type: ignore[union-attr]


def test_a_champion_that_cannot_score_loses_its_seat_at_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(runtime, FEBRUARY)
    seat(runtime, fitted(runtime, FEBRUARY))
    broken = runtime.store.promotion(2).version
    honest = estimators.predictor

    def predictor(store: Any) -> Callable[[ModelVersion, pa.Table], Any]:
        def predict(version: ModelVersion, rows: pa.Table) -> Any:
            return np.full(rows.num_rows, np.nan) if version.digest == broken else honest(store)(version, rows)

        return predict

    monkeypatch.setattr(estimators, "predictor", predictor)
    deliver(runtime, MARCH)
    assert scored(runtime, MARCH) == 3
    assert runtime.store.ledger()[-1].version == runtime.store.promotion(1).version
    assert "Generation 2 cannot score 2020-03" in runtime.store.ledger()[-1].reason
    told = seats.end_probation(runtime)
    assert (told["generation"], told["affected"]) == (3, {})
    assert "generation" not in seats.end_probation(runtime)
    with pytest.raises(ModelError):
        seats.score_batch(runtime, MARCH, 2, "by hand")


def test_workers_of_a_cluster_predict_the_same_where_a_partition_is_large(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(runtime, FEBRUARY)
    assert scored(runtime, FEBRUARY) == 1
    part, asked = runtime.store.predictions.part(FEBRUARY), []

    def pieces(store: ModelStore, settings: Settings, work: Work) -> list[dict[str, Any]]:
        asked.append(work.workers)
        worker = Scorer(write_order(store, work))
        return [worker.score(*piece) for piece in work.pieces()]

    monkeypatch.setattr(ray_rows, "_pieces", pieces)
    model = runtime.model.model_copy(update={"score": Score(workers=3)})
    large = Runtime(runtime.folder.model_copy(update={"model": model}), runtime.settings)
    assert seats.score_again(large, [FEBRUARY], 1, "a run") == [FEBRUARY]
    assert asked == [], "it is small: a job would take longer to start"
    monkeypatch.setattr(sys.modules["incumbent.score.score"], "SMALL_ROWS", ROWS)
    assert seats.score_again(large, [FEBRUARY], 1, "another run") == [FEBRUARY]
    assert (asked, runtime.store.predictions.part(FEBRUARY)) == ([3], part)


def test_two_champions_are_compared_by_the_clusters_of_the_gates(
    worse: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = worse.model.evaluate.model_copy(update={"cluster": ("local_date",)})
    model = worse.model.model_copy(update={"evaluate": evaluate})
    by_day = Runtime(worse.folder.model_copy(update={"model": model}), worse.settings)
    given: list[Any] = []

    def noted(*args: Any) -> dict[str, tuple[float, float]]:
        given.append(args[4])
        return gaps_of(*args)

    monkeypatch.setattr(shadow, "gaps_of", noted)
    deliver(by_day, MARCH)
    scored(by_day, MARCH)
    judge(by_day, MARCH)
    assert [len(np.unique(codes)) for codes in given] == [31], "days of March"


def test_who_is_in_shadow(worse: Runtime) -> None:
    store = worse.store
    assert [(each.role, each.version, each.since) for each in shadows_of(store)] == [
        ("previous", store.promotion(1).version, FEBRUARY)
    ]
    deliver(worse, MARCH)
    scored(worse, MARCH)
    judge(worse, FEBRUARY)
    assert [name for name in store.records.names(VERDICTS) if "/shadow-" in name] == []


def test_a_challenger_with_too_little_evidence_gathers_more_in_shadow(tmp_path: Path) -> None:
    weak = started(tmp_path, rounds=8, params={"max_depth": 2})
    model = small_model(rounds=40, checkpoint_every=40, params={"max_depth": 3})
    better = Runtime(weak.folder.model_copy(update={"model": model}), weak.settings)
    deliver(better, FEBRUARY)
    report = fitted(better, FEBRUARY)
    assert report.verdict == "insufficient_evidence", report.sentence
    assert [(each.role, each.since) for each in shadows_of(better.store)] == [("challenger", FEBRUARY)]
    asked = None
    for key in (MARCH, APRIL, MAY):
        deliver(better, key)
        assert scored(better, key) == 1
        said = judge(better, key)["shadows"]
        assert f"{key}: the challenger is better by 0." in said[0]
        asked = ask_for_seat(better)
        if asked:
            break
    assert asked is not None
    assert ask_for_seat(better) is None, "it is asked for once"
    request = unanswered(better.store)[0]
    assert (request.id, request.reason, request.candidate) == (asked["request"], "evidence", report.candidate)
    stages.take_snapshot(better, request.id)
    assert training.begin_training(better, request.id).training["version"] == report.candidate  # type: ignore[index]
    stages.evaluate_candidate(better, request.id)
    assert stages.promote_candidate(better, request.id, None)["kind"] == "promoted"
    final = better.store.records.get(GateReport, better.store.promotion(2).gate_report)
    assert final.sentence.startswith("All ")
    evidence = next(gate for gate in final.gates if gate["gate"] == "evidence")
    assert evidence["e"] == pytest.approx(request.evidence["e"])
    assert evidence["e"] >= evidence["needed"]
    assert [each for each in check_model(better.store) if "accepted rows" not in each.promise] == []


def test_of_two_that_have_proven_themselves_the_newer_is_asked_for(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has learned from more, and what was gathered for it would be lost."""
    older, newer = Shadow("challenger", "a" * 64, FEBRUARY), Shadow("challenger", "b" * 64, MARCH)
    monkeypatch.setattr(shadows, "shadows_of", lambda store: [older, newer])
    proven = {older.version: True, newer.version: True}

    def gathered_for(runtime: Runtime, shadow: Shadow) -> dict[str, Any]:
        return {"partition": MARCH, "enough": proven[shadow.version], "message": shadow.version}

    monkeypatch.setattr(shadows, "gathered_for", gathered_for)
    assert ask_for_seat(runtime)["message"] == newer.version  # type: ignore[index]
    assert [each.candidate for each in unanswered(runtime.store)] == [newer.version]
    proven[newer.version] = False
    assert ask_for_seat(runtime)["message"] == older.version  # type: ignore[index]


def test_a_business_figure_may_stop_a_challenger(tmp_path: Path) -> None:
    weak = started(tmp_path, rounds=6, params={"max_depth": 2})
    (weak.folder.path / "kpi.sql").write_text('SELECT "row", abs(prediction - 0.5) AS sure FROM rows')
    guarded = small_model(rounds=40, checkpoint_every=40, params={"max_depth": 3}).model_dump(mode="json")
    model = weak.model.model_validate({**guarded, "gates": {"kpi": {"sure": {"max_increase": 0.0}}}})
    runtime = Runtime(weak.folder.model_copy(update={"model": model}), weak.settings)
    deliver(runtime, FEBRUARY)
    report = fitted(runtime, FEBRUARY)
    gate = next(gate for gate in report.gates if gate["gate"] == "kpi")
    assert (report.verdict, gate["passed"]) == ("reject", False)
    assert report.sentence.startswith("Not promoted: sure +0.")
    assert gate["kpis"][0]["lower"] > 0
