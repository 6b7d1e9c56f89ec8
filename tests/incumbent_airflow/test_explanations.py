"""Some predictions of each partition are explained: which ones, by what, and that it adds up."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from months import FEBRUARY, JANUARY, MARCH, WITHOUT_RECORDS
from test_seats import ROWS, deliver, scored, started

from incumbent.config import Explain
from incumbent.estimators import explainer
from incumbent.score import explain
from incumbent.store.check import check_model
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    runtime = started(tmp_path_factory.mktemp("explained"))
    deliver(runtime, FEBRUARY)
    assert scored(runtime, FEBRUARY) == 1
    return runtime


def explained(runtime: Runtime, **settings: Any) -> pa.Table:
    model = runtime.model.model_copy(update={"explain": Explain(**settings)})
    explain(runtime.store, model, FEBRUARY, explainer(runtime.store))
    return runtime.store.explanations.read([FEBRUARY])


def test_all_that_is_told_of_a_row_sums_to_its_margin(template: Runtime) -> None:
    rows = explained(template, features=2)
    said = {row["row"]: row["prediction"] for row in template.store.predictions.read([FEBRUARY]).to_pylist()}
    by_row: dict[int, list[dict[str, Any]]] = {}
    for each in rows.to_pylist():
        by_row.setdefault(each["row"], []).append(each)
    for row, told in by_row.items():
        assert [each["rank"] for each in told] == [1, 2]
        assert abs(told[0]["adds"]) >= abs(told[1]["adds"])
        margin = told[0]["base"] + told[0]["rest"] + sum(each["adds"] for each in told)
        assert 1 / (1 + np.exp(-margin)) == pytest.approx(said[row], abs=1e-5)


def test_the_largest_the_closest_and_some_by_chance_are_chosen(template: Runtime) -> None:
    rows = explained(template, share=0.03, threshold=0.4)
    chosen = {row["row"]: row["chosen"] for row in rows.to_pylist()}
    each = ROWS * 3 // 100 // 3
    assert 2.9 * each <= len(chosen) <= 3 * each
    scores = {row["row"]: row["prediction"] for row in template.store.predictions.read([FEBRUARY]).to_pylist()}
    top = sorted(scores, key=lambda row: -scores[row])[:each]
    near = sorted(scores, key=lambda row: abs(scores[row] - 0.4))[:each]
    assert {row for row, why in chosen.items() if why == "top"} == set(top)
    assert {row for row, why in chosen.items() if why == "near"} == set(near)
    assert explained(template, share=0.03, threshold=0.4) == rows, "the same rows each time"
    assert len({row["row"] for row in explained(template, most=9).to_pylist()}) <= 9


def test_explanations_say_what_made_the_prediction_and_follow_it(tmp_path: Path) -> None:
    runtime = started(tmp_path)
    deliver(runtime, FEBRUARY)
    scored(runtime, FEBRUARY)
    first = explained(runtime)
    made = runtime.store.predictions.read([FEBRUARY]).slice(0, 1).to_pylist()[0]
    assert {name: first[name][0].as_py() for name in ("version", "features_digest", "variant")} == {
        name: made[name] for name in ("version", "features_digest", "variant")
    }
    again = explain(runtime.store, runtime.model, FEBRUARY, explainer(runtime.store))
    assert (again.changed, again.rows) == (False, len(set(first["row"].to_pylist())))
    assert explain(runtime.store, runtime.model, MARCH, explainer(runtime.store)).rows == 0
    assert [each for each in check_model(runtime.store) if each.promise != WITHOUT_RECORDS] == []
    assert JANUARY not in runtime.store.explanations.parts()


def test_predictions_that_change_meanwhile_are_not_explained_by_old_ones(template: Runtime) -> None:
    store, honest = template.store, explainer(template.store)
    before = explained(template)

    def slow(version: Any, rows: pa.Table) -> Any:
        told = store.predictions.read([FEBRUARY]).drop_columns(["partition"])
        store.predictions.replace(FEBRUARY, told.slice(0, ROWS - 1))
        return honest(version, rows)

    model = template.model.model_copy(update={"explain": Explain(share=0.05)})
    part = store.predictions.part(FEBRUARY)
    assert not explain(store, model, FEBRUARY, slow).changed
    assert store.explanations.read([FEBRUARY]) == before
    assert part is not None
    store.predictions.commit(part)
