"""A challenger that has passed its gates predicts for a share of the units, and gets the seat or is sent back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from months import APRIL, FEBRUARY, JANUARY, MARCH, MAY, WITHOUT_RECORDS
from test_seats import ROWS, deliver, fitted, scored, started

from incumbent import estimators
from incumbent.config import Explain, Gates, Guard, Rollout
from incumbent.provenance.chain import Chain
from incumbent.provenance.impact import of_snapshot
from incumbent.provenance.rows import standing
from incumbent.provenance.why import Asked
from incumbent.records import GateReport, ModelVersion
from incumbent.retrain.gather import gather
from incumbent.retrain.requests import open_request, verdict_of
from incumbent.rollout import found_in, open_plan
from incumbent.score import explain
from incumbent.store.check import check_model
from incumbent_airflow import seats, stages, training
from incumbent_airflow.judging import judge, scored_by
from incumbent_airflow.rollouts import settle_rollout
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
OTHER_WORLD = -3.0
SETTINGS = Rollout(unit=("row",), steps=(0.0, 0.3), cycle_days=28, exclude=("40001", "40002"))
KPI = "SELECT row, CASE WHEN (prediction > 0.5) = late THEN 1.0 ELSE 0.0 END AS right_calls FROM rows"


def with_rollout(runtime: Runtime, **more: Any) -> Runtime:
    model = runtime.model.model_copy(update={"rollout": SETTINGS, **more})
    return Runtime(runtime.folder.model_copy(update={"model": model}), runtime.settings)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """A champion of January, and a challenger of a February in which the world was upside down."""
    runtime = with_rollout(started(tmp_path))
    deliver(runtime, FEBRUARY, knows=OTHER_WORLD)
    return runtime


def begun(runtime: Runtime) -> Runtime:
    assert fitted(runtime, FEBRUARY).verdict == "promote"
    return runtime


def lived(runtime: Runtime, key: str, knows: float) -> dict[str, Any]:
    deliver(runtime, key, knows)
    assert scored(runtime, key) == 1
    judge(runtime, key)
    return settle_rollout(runtime)


def variants(runtime: Runtime, key: str) -> dict[str, int]:
    rows = runtime.store.predictions.read([key], ["variant"])["variant"].to_pylist()
    return {name: rows.count(name) for name in sorted(set(rows))}


def violations(runtime: Runtime) -> list[Any]:
    return [each for each in check_model(runtime.store) if each.promise != WITHOUT_RECORDS]


def test_a_first_model_gets_the_seat_at_once_and_a_challenger_by_steps(runtime: Runtime) -> None:
    begun(runtime)
    store, plan = runtime.store, open_plan(runtime.store)
    assert plan is not None
    assert (len(store.ledger()), plan.generation, verdict_of(store, plan.id)) == (1, 1, "rollout")
    assert "step 2 of 2, 30% of the units" in lived(runtime, MARCH, OTHER_WORLD)["sentence"]
    assert variants(runtime, MARCH) == {"champion": ROWS}, "at a share of 0 nothing of it is published"
    done = lived(runtime, APRIL, OTHER_WORLD)
    assert (done["generation"], done["partition"]) == (2, APRIL)
    assert store.promotion(2).version == plan.version and "all 2 steps are over" in store.promotion(2).reason
    found = variants(runtime, APRIL)
    assert abs(found["challenger"] / ROWS - 0.3) < 0.03
    assert found_in(store, plan)[APRIL]["units"] == [found["champion"] - 2, found["challenger"]]
    assert open_plan(store) is None and settle_rollout(runtime) == {"sentence": "No rollout goes on."}
    deliver(runtime, MAY, OTHER_WORLD)
    assert scored(runtime, MAY) == 2
    assert violations(runtime) == []


def test_rows_say_who_predicted_them_and_the_champion_is_judged_by_its_own(runtime: Runtime) -> None:
    begun(runtime)
    lived(runtime, MARCH, OTHER_WORLD)
    lived(runtime, APRIL, OTHER_WORLD)
    store = runtime.store
    rows = store.predictions.read([APRIL])
    version = {row["variant"]: row["version"] for row in rows.to_pylist()}
    assert version == {"champion": store.promotion(1).version, "challenger": store.promotion(2).version}
    assert set(rows["generation"].to_pylist()) == {1}
    by_key = {row["row"]: row for row in rows.to_pylist()}
    assert {by_key[key]["variant"] for key in (40001, 40002)} == {"champion"}
    assert sorted(by_key) == [40_000 + row for row in range(ROWS)]
    features = store.features(rows["definition"][0].as_py()).read([APRIL])
    predict = estimators.predictor(store)
    for variant, digest in version.items():
        mine = [at for at, key in enumerate(features["row"].to_pylist()) if by_key[key]["variant"] == variant]
        values = predict(store.records.get(ModelVersion, digest), features.take(pa.array(mine)))
        keys = features["row"].take(pa.array(mine)).to_pylist()
        np.testing.assert_array_equal(values, [by_key[key]["prediction"] for key in keys])
    champion = scored_by(runtime, APRIL)
    assert champion is not None and champion[1].digest == version["champion"]


def test_a_challenger_that_does_harm_is_sent_back(runtime: Runtime) -> None:
    begun(runtime)
    plan = open_plan(runtime.store)
    assert plan is not None
    assert "the champion is better by" in lived(runtime, MARCH, 1.0)["sentence"]
    assert open_plan(runtime.store) is None and len(runtime.store.ledger()) == 1
    lived(runtime, APRIL, 1.0)
    assert variants(runtime, APRIL) == {"champion": ROWS}


def test_one_that_cannot_score_costs_no_row(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(runtime)
    lived(runtime, MARCH, OTHER_WORLD)
    plan, honest = open_plan(runtime.store), estimators.predictor
    assert plan is not None

    def predictor(store: Any) -> Callable[[ModelVersion, pa.Table], Any]:
        def predict(version: ModelVersion, rows: pa.Table) -> Any:
            if version.digest == plan.version:
                raise RuntimeError("no such device")
            return honest(store)(version, rows)

        return predict

    monkeypatch.setattr(estimators, "predictor", predictor)
    deliver(runtime, APRIL, OTHER_WORLD)
    assert scored(runtime, APRIL) == 1
    assert variants(runtime, APRIL) == {"champion": ROWS}
    ended = runtime.store.records.get_plain("rollouts", f"{plan.id}/done")
    assert ended["outcome"] == "retreat" and "no such device" in ended["sentence"]


def test_a_person_may_end_it_and_score_what_it_published_again(runtime: Runtime) -> None:
    begun(runtime)
    lived(runtime, MARCH, OTHER_WORLD)
    deliver(runtime, APRIL, OTHER_WORLD)
    scored(runtime, APRIL)
    plan = open_plan(runtime.store)
    assert plan is not None
    back = seats.roll_back(runtime, 1, "customers complain", "a run")
    assert (back["generation"], open_plan(runtime.store)) == (1, None)
    assert "customers complain" in runtime.store.records.get_plain("rollouts", f"{plan.id}/done")["sentence"]
    assert variants(runtime, APRIL)["challenger"] > 0, "what was published stays until it is scored again"
    assert seats.score_again(runtime, [APRIL], 1, "again") == [APRIL]
    assert variants(runtime, APRIL) == {"champion": ROWS}
    assert violations(runtime) == []


def test_a_second_challenger_waits_for_its_turn(runtime: Runtime) -> None:
    begun(runtime)
    request = open_request(runtime.store, FEBRUARY, "manual", {}, degraded=False, message="once more")[0].id
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    stages.evaluate_candidate(runtime, request)
    outcome = stages.promote_candidate(runtime, request, None)
    assert outcome["kind"] == "rollout_open" and f"rollout {FEBRUARY}-r1 goes on" in outcome["message"]
    assert gather(runtime.store, runtime.model, MARCH)["rollout"] == f"{FEBRUARY}-r1", "so the policy asks for none"
    assert gather(runtime.store, runtime.model, JANUARY)["rollout"] == "", "which did not know of it"
    assert len(runtime.store.ledger()) == 1


def test_a_cleared_promote_begins_no_second_rollout(runtime: Runtime) -> None:
    report = next(each for each in begun(runtime).store.records.all(GateReport) if each.partition == FEBRUARY)
    before = runtime.store.records.names("rollouts")
    assert stages.promote_candidate(runtime, report.request, None)["kind"] == "rollout"
    assert runtime.store.records.names("rollouts") == before


def test_a_guarded_figure_of_the_units_is_compared(runtime: Runtime) -> None:
    (runtime.folder.path / "kpi.sql").write_text(KPI)
    asked = with_rollout(runtime, gates=Gates(kpi={"right_calls": Guard(max_decrease=0.02)}))
    begun(asked)
    lived(asked, MARCH, OTHER_WORLD)
    plan = open_plan(asked.store)
    assert plan is not None
    deliver(asked, APRIL, OTHER_WORLD)
    scored(asked, APRIL)
    judge(asked, APRIL)
    found = found_in(asked.store, plan)[APRIL]["kpis"]["right_calls"]
    assert found["challenger"] - found["champion"] == pytest.approx(-found["lost"])
    assert found["challenger"] > found["champion"] and found["error"] < 0.05


def test_a_month_before_it_began_has_no_part_in_it(runtime: Runtime) -> None:
    deliver(runtime, MARCH, OTHER_WORLD)
    assert scored(runtime, MARCH) == 1
    begun(runtime)
    plan = open_plan(runtime.store)
    assert plan is not None and plan.after == MARCH
    judge(runtime, MARCH)
    assert found_in(runtime.store, plan) == {}
    assert plan.after > JANUARY


def test_a_challengers_row_leads_to_its_rollout_and_to_its_own_report(runtime: Runtime) -> None:
    begun(runtime)
    store, plan = runtime.store, open_plan(runtime.store)
    assert plan is not None
    lived(runtime, MARCH, OTHER_WORLD)
    lived(runtime, APRIL, OTHER_WORLD)
    asked = Asked(Chain(store, runtime.model, runtime.drop), estimators.predictor(store))
    rows = store.predictions.read([APRIL]).drop_columns(["partition"])
    theirs = rows.filter(pc.equal(rows["variant"], "challenger"))
    for why in asked.rows(standing(store, APRIL)[0], pa.concat_tables([theirs.slice(0, 2), rows.slice(0, 1)])):
        assert [link.name for link in why.broken] == [f"delivery of events {APRIL}"], "these were never delivered"
        assert why.made is not None and why.difference == 0.0
        links = {link.name: link for link in why.links}
        is_theirs = why.made.variant == "challenger"
        assert ("rollout" in links) == is_theirs
        assert (links["gate report"].digest == plan.gate_report) == is_theirs
    touched = of_snapshot(store, store.records.get(ModelVersion, plan.version).snapshot)
    assert [(each.partition, each.rows) for each in touched.by_version] == [(APRIL, theirs.num_rows)]
    store.records.remove(plan.kind, f"{plan.id}/open")
    (why,) = Asked(Chain(store, runtime.model, runtime.drop), asked.predict).rows(
        standing(store, APRIL)[0], theirs.slice(0, 1)
    )
    assert "rollout" in [link.name for link in why.broken]


def test_each_version_explains_its_own_rows(runtime: Runtime) -> None:
    begun(runtime)
    lived(runtime, MARCH, OTHER_WORLD)
    deliver(runtime, APRIL, OTHER_WORLD)
    scored(runtime, APRIL)
    model = runtime.model.model_copy(update={"explain": Explain(share=0.02)})
    explain(runtime.store, model, APRIL, estimators.explainer(runtime.store))
    said = {row["row"]: row for row in runtime.store.predictions.read([APRIL]).to_pylist()}
    told = runtime.store.explanations.read([APRIL]).to_pylist()
    assert {each["variant"] for each in told} == {"champion", "challenger"}
    assert all(said[each["row"]]["version"] == each["version"] for each in told)
