"""What a contract keeps out of features is not there to be made into one, and errors repeat no sensitive value."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from incumbent.config import Model, load_model
from incumbent.errors import ConfigError, FeatureError
from incumbent.features.compute import compute
from incumbent.features.inputs import pinned_inputs
from incumbent.features.rows import label_rows
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
CANARY = "canary-7f3a91"
MODEL = """
name: visits
owner: tests
task: binary
grain: month
start: 2020-01
keys: [who]
time: seen
sources:
  visits: {role: batch, path: "visits/{partition}.csv"}
  ends: {role: outcomes, path: "ends/{partition}.csv"}
label: {sql: ended}
"""
CONTRACT = """
sources:
  visits:
    key: [who]
    columns:
      who: {dtype: string, hashed: true}
      seen: {dtype: timestamp}
      mail: {dtype: string, sensitive: true%s}
      age: {dtype: int64, in_features: false}
      ward: {dtype: string}
  ends:
    key: [who]
    columns: {who: {dtype: string, hashed: true, sensitive: true}, ended: {dtype: string, sensitive: true}}
"""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = Store(tmp_path / "store").model("visits")
    times = pa.array([datetime(2020, 1, 2, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    row = {"who": ["1f"], "seen": times, "mail": [CANARY], "age": [44], "ward": ["north"]}
    store.batches("visits").replace("2020-01", pa.table(row))
    store.outcomes("ends").replace("2020-01", pa.table({"who": ["1f", "1f"], "ended": [CANARY, "0"]}))
    return store


def model(folder: Path, extra: str = "", contract: str = CONTRACT) -> Model:
    path = folder / "visits"
    path.mkdir()
    (path / "model.yaml").write_text(MODEL)
    (path / "contract.yaml").write_text(contract % extra if "%s" in contract else contract)
    return load_model(path).model


def features(store: ModelStore, found: Model, selected: str) -> pa.Table:
    return compute(store, found, f"SELECT {selected} FROM batch", pinned_inputs(store, found, "2020-01"))


def test_every_column_is_there_but_those_that_are_kept_out(store: ModelStore, tmp_path: Path) -> None:
    found = model(tmp_path)
    assert features(store, found, "*").column_names == ["who", "seen", "ward"]
    for column in ("mail", "age"):
        with pytest.raises(FeatureError, match=r"without visits\.mail, visits\.age, which.*(?s:.)*Binder"):
            features(store, found, f"who, seen, {column} AS x")


def test_a_sensitive_column_is_let_in_by_name(store: ModelStore, tmp_path: Path) -> None:
    found = model(tmp_path, ", in_features: true")
    assert features(store, found, "who, seen, length(mail) AS n")["n"].to_pylist() == [len(CANARY)]
    assert found.sensitive_in_features == {"visits": ("mail",)}


@pytest.mark.parametrize(
    "selected", ["who, seen, CAST(mail AS INTEGER) AS x", "who, seen, CAST(error(mail) AS INTEGER) AS x"]
)
def test_an_error_repeats_no_value_that_was_let_in(selected: str, store: ModelStore, tmp_path: Path) -> None:
    found = model(tmp_path, ", in_features: true")
    with pytest.raises(FeatureError, match="not shown") as refused:
        features(store, found, selected)
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_a_label_that_fails_repeats_no_value_and_no_key(store: ModelStore, tmp_path: Path) -> None:
    found = model(tmp_path)
    with pytest.raises(ConfigError, match="not shown") as refused:
        label_rows(store, found, ["2020-01"])
    assert CANARY not in "".join(traceback.format_exception(refused.value))
    label = found.label.model_copy(update={"classes": ("0", "1", "2")})
    with pytest.raises(ConfigError, match="none of the classes") as refused:
        label_rows(store, found.model_copy(update={"label": label}), ["2020-01"])
    assert refused.value.found == "*** in 1 outcomes"
    assert CANARY not in "".join(traceback.format_exception(refused.value))
    twice = found.model_copy(update={"label": found.label.model_copy(update={"sql": "1"})})
    with pytest.raises(ConfigError, match=r"several for \*\*\*"):
        label_rows(store, twice, ["2020-01"])


def test_features_wait_while_nobody_can_say_what_is_sensitive(store: ModelStore, tmp_path: Path) -> None:
    found = model(tmp_path, contract="sources: {visits: {key: [who], columns: [who, seen]}}")
    with pytest.raises(ConfigError, match="nobody can say which columns are sensitive"):
        features(store, found, "who, seen, ward")
