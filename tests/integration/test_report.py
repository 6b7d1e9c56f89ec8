"""The demonstration's report says what the tables, the ledger and Airflow say.

Everything is computed again with other code: Delta tables with deltalake and pandas, records as plain
JSON, AUC with scikit-learn, fits with XGBoost's own interface, times from Airflow's REST API.
"""

import json
import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
import yaml
from deltalake import DeltaTable
from sklearn.metrics import roc_auc_score
from tests.integration.conftest import Demonstration

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
NAME = "flights_delay"
KEYS = ["year", "month", "day", "carrier", "flight", "origin"]
KEYED = ("flights", "weather", "outcomes")


class Truth:
    """Reads a store without the project's code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def table(self, name: str, partition: str) -> pd.DataFrame:
        folder = self.root / "tables" / name
        if not (folder / "_delta_log").exists():
            return pd.DataFrame()
        frame: pd.DataFrame = DeltaTable(str(folder)).to_pandas(partitions=[("partition", "=", partition)])
        return frame

    def record(self, name: str) -> Any:
        return json.loads((self.root / "records" / f"{name}.json").read_text())

    def names(self, pattern: str) -> list[str]:
        folder = self.root / "records"
        return sorted(str(path.relative_to(folder)).removesuffix(".json") for path in folder.glob(f"{pattern}.json"))

    def object(self, digest: str) -> bytes:
        (path,) = [found for found in (self.root / "objects").rglob("*") if found.is_file() and digest in found.name]
        return path.read_bytes()

    def labels(self, partition: str) -> pd.DataFrame:
        rows = self.table("outcomes/outcomes", partition)
        rows = rows[rows["status"] == "landed"]
        return rows[KEYS].assign(label=(rows["arr_delay"] > 15).astype(float))

    def labelled_features(self, definition: str, partition: str) -> pd.DataFrame:
        return self.table(f"features/{definition[:16]}", partition).merge(self.labels(partition), on=KEYS)


def matrix(rows: pd.DataFrame, features: list[str], levels: dict[str, list[str]]) -> pd.DataFrame:
    out = {}
    for name in features:
        if name in levels:
            codes = rows[name].map({level: code for code, level in enumerate(levels[name])})
            out[name] = codes.astype("float32")
        else:
            out[name] = rows[name].astype("float64").astype("float32")
    return pd.DataFrame(out)


def data(rows: pd.DataFrame, features: list[str], levels: dict[str, list[str]]) -> xgb.DMatrix:
    return xgb.DMatrix(matrix(rows, features, levels).to_numpy(), **described(features, levels))


def binned(rows: pd.DataFrame, features: list[str], levels: dict[str, list[str]]) -> xgb.QuantileDMatrix:
    """Return rows in bins that end at every 255th of them: of XGBoost's own another model would come."""
    values = matrix(rows, features, levels)
    ends = {name: pd.Series(range(len(known)), dtype="float32") for name, known in levels.items()}
    for name in features:
        if name not in levels:
            ordered = values[name].dropna().sort_values().to_numpy()
            every = np.linspace(0, len(ordered) - 1, 255).astype(int)
            ends[name] = pd.Series(np.unique(ordered if len(np.unique(ordered)) < 256 else ordered[every]))
    about = described(features, levels)
    like = xgb.QuantileDMatrix(pd.DataFrame(ends)[features].to_numpy(), **about)
    return xgb.QuantileDMatrix(values.to_numpy(), label=rows["label"], ref=like, **about)


def described(features: list[str], levels: dict[str, list[str]]) -> dict[str, Any]:
    types = ["c" if name in levels else "q" for name in features]
    return {"feature_names": features, "feature_types": types, "enable_categorical": True}


@pytest.fixture(scope="module")
def truth(demonstration: Demonstration) -> Truth:
    return Truth(Path(demonstration.stack.settings.store) / NAME)


@pytest.fixture(scope="module")
def ledger(truth: Truth) -> list[dict[str, Any]]:
    return [truth.record(name) for name in truth.names("promotions/*")]


def entries(demonstration: Demonstration) -> Iterator[dict[str, Any]]:
    yield from demonstration.report["partitions"]


def test_each_partition_says_what_the_tables_say(demonstration: Demonstration, truth: Truth) -> None:
    for entry in entries(demonstration):
        month = entry["partition"]
        assert entry["rows"] == len(truth.table("batches/flights", month))
        assert entry["quarantined"] == sum(len(truth.table(f"quarantine/{source}", month)) for source in KEYED)
        predictions = truth.table("predictions", month)
        if predictions.empty:
            assert (entry["generation"], entry["auc"]) == (None, None)
            continue
        assert predictions["generation"].unique().tolist() == [entry["generation"]]
        joined = predictions.merge(truth.labels(month), on=KEYS)
        assert len(joined) > 0.9 * len(predictions)
        assert entry["auc"] == pytest.approx(roc_auc_score(joined["label"], joined["prediction"]), abs=1e-9)
        metrics = truth.table("metrics", month).set_index("metric")["value"]
        assert metrics["auc"] == pytest.approx(entry["auc"], abs=1e-9), "the monitor's own table says the same"
        assert metrics["trivial_auc"] == 0.5


def test_each_partition_says_what_the_records_say(
    demonstration: Demonstration, truth: Truth, ledger: list[dict[str, Any]]
) -> None:
    versions = {found["generation"]: found["version"] for found in ledger}
    for entry in entries(demonstration):
        month = entry["partition"]
        drift = [truth.record(name) for name in truth.names(f"verdicts/{month}/drift-*")]
        tiers = {found["tier"] for found in drift if found["version"] == versions.get(entry["generation"])}
        assert {entry["drift"]} == ({tier.replace("none", "no") for tier in tiers} or {None})
        requests = truth.names(f"requests/{month}-r*/open")
        if not requests:
            assert (entry["retrain_reason"], entry["verdict"], entry["trained"]) == (None, None, False)
            continue
        request = truth.record(requests[-1])
        assert entry["retrain_reason"] == request["reason"]
        assert entry["trained"] == bool(truth.names(f"trainings/{request['id']}"))
        report = truth.record(f"gate_reports/{truth.record('pins/gate-' + request['id'])['gate_report']}")
        assert entry["verdict"] == report["verdict"] == truth.record(f"requests/{request['id']}/done")["verdict"]


def test_the_trainings_are_those_that_airflow_ran(
    demonstration: Demonstration, truth: Truth, ledger: list[dict[str, Any]]
) -> None:
    found = demonstration.report["trainings"]
    assert found[0]["reason"] == "cold_start"
    seats = {entry["request"]: entry["generation"] for entry in ledger if entry["action"] == "promote"}
    for entry, name in zip(found, truth.names("trainings/*"), strict=True):
        record = truth.record(name)
        for field in ("launcher", "workers", "device", "rounds", "checkpoints", "resumed_from"):
            assert entry[field] == record[field], field
        assert entry["reason"] == truth.record(f"requests/{record['request']}/open")["reason"]
        assert entry["generation"] == seats.get(record["request"])
        assert len(truth.object(record["version"])) > 1000
    api = demonstration.stack.api
    fitted = 0
    for run in api.runs(state="success"):
        if run["dag_id"] == f"{NAME}.train":
            fitted += any(task["task_id"] == "train" and task["state"] == "success" for task in api.tasks(run))
    done = truth.names("requests/*/done")
    assert len(found) == len(done) == fitted, "one training for each request that is done"


def test_the_references_are_what_other_code_gets(
    demonstration: Demonstration, truth: Truth, ledger: list[dict[str, Any]]
) -> None:
    folder = demonstration.stack.settings.models / NAME
    model = yaml.safe_load((folder / "model.yaml").read_text())
    version = truth.record(f"versions/{ledger[0]['version']}")
    first = xgb.Booster(model_file=bytearray(truth.object(version["digest"])))
    features, definition = version["features"], version["definition"]
    months = [entry["partition"] for entry in entries(demonstration)]
    for entry in entries(demonstration):
        if entry["auc"] is None:
            continue
        month = entry["partition"]
        rows = truth.labelled_features(definition, month)
        never = roc_auc_score(rows["label"], first.predict(data(rows, features, version["categories"])))
        assert entry["auc_never"] == pytest.approx(never, abs=1e-7)
        earlier = pd.concat([truth.labelled_features(definition, key) for key in months if key < month])
        until = datetime.fromisoformat(f"{month}-01").date() - timedelta(days=7 + model["label"]["delay_days"])
        days = pd.to_datetime(earlier[["year", "month", "day"]]).dt.date
        train = earlier[days < until].sort_values(KEYS)
        levels = {name: sorted(train[name].dropna().unique()) for name in version["categories"]}
        params = {**model["train"]["params"], "objective": "binary:logistic", "tree_method": "hist", "seed": 7}
        booster = xgb.train(params, binned(train, features, levels), model["train"]["rounds"])
        monthly = roc_auc_score(rows["label"], booster.predict(data(rows, features, levels)))
        # Of more rows the bins are learned from a sample.
        assert entry["auc_monthly"] == pytest.approx(monthly, abs=1e-4 if len(train) <= 200_000 else 5e-3)


def test_the_summary_adds_up(demonstration: Demonstration, ledger: list[dict[str, Any]]) -> None:
    found, report = demonstration.report["summary"], demonstration.report
    scored = [entry for entry in report["partitions"] if entry["auc"] is not None]
    for name in ("auc", "auc_never", "auc_monthly"):
        assert found[f"mean_{name}"] == pytest.approx(np.mean([entry[name] for entry in scored]), abs=1e-12)
    assert found["candidates"] == len(report["trainings"])
    assert found["trainings"] == len({training["request"] for training in report["trainings"]})
    assert found["promotions"] == sum(entry["generation"] is not None for entry in report["trainings"])
    verdicts = [entry["verdict"] for entry in report["partitions"] if entry["verdict"]]
    assert found["rejections"] == sum(verdict != "promote" for verdict in verdicts)


def test_the_times_are_airflows(demonstration: Demonstration) -> None:
    found, api = demonstration.report["summary"], demonstration.stack.api
    began, ended = (datetime.fromisoformat(demonstration.report[name]) for name in ("began", "ended"))
    runs = [
        run
        for run in api.runs()
        if run["start_date"] and began <= datetime.fromisoformat(run["start_date"]) and run["end_date"]
        and datetime.fromisoformat(run["end_date"]) <= ended
    ]  # fmt: skip
    for field, dag_id, task_id in (("champion", "train", "promote"), ("predictions", "score", "score")):
        first = min(
            task["end_date"]
            for run in runs
            if run["dag_id"] == f"{NAME}.{dag_id}"
            for task in api.tasks(run)
            if task["task_id"] == task_id and task["state"] == "success"
        )
        measured = (datetime.fromisoformat(first) - began).total_seconds()
        assert found[f"first_{field}_s"] == pytest.approx(measured, abs=60), "the demonstration looks when all is quiet"
    newest = max(datetime.fromisoformat(run["end_date"]) for run in runs)
    assert (newest - began).total_seconds() <= found["wall_s"] + found["references_s"] + 1
    gaps = []
    for run in runs:
        if run["dag_id"] in (f"{NAME}.train", f"{NAME}.monitor"):
            spans = sorted((task["start_date"], task["end_date"]) for task in api.tasks(run) if task["start_date"])
            times = [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in spans if end]
            gaps += [(b[0] - a[1]).total_seconds() for a, b in pairwise(times) if b[0] >= a[1]]
    assert found["median_task_gap_s"] == pytest.approx(statistics.median(gaps), abs=0.05)
    assert 100 < found["peak_task_mb"] < found["peak_memory_mb"] < 24_000
