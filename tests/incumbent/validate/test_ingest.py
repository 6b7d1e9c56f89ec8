"""Deliveries of real flights: what is accepted, set aside, stopped, and said about it."""

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from demo import raw_data
from incumbent.admit.order import Reason
from incumbent.config import Model, load_model
from incumbent.errors import BatchError
from incumbent.partitions import Grain
from incumbent.records import Ingest
from incumbent.store import ModelStore, Store
from incumbent.validate import ingest, ingest_or_raise, load_contract
from incumbent.validate.contract import Expectation, SourceContract

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parents[3] / "include" / "models" / "flights_delay"
DAY = "2013-02-04"
Deliver = Callable[..., Ingest]


@pytest.fixture
def store(any_store: Store) -> ModelStore:
    return any_store.model("store")


@pytest.fixture
def daily() -> Model:
    return load_model(FOLDER).model.model_copy(update={"grain": Grain.DAY})


@pytest.fixture
def flights() -> SourceContract:
    return load_contract(FOLDER / "contract.yaml").sources["flights"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return raw_data.write_partition(tmp_path, "flights", DAY, Grain.DAY)


def rewrite(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_parquet(path)).to_parquet(path, index=False)


def test_a_good_month_is_accepted_whole(
    store: ModelStore, flights: SourceContract, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = load_model(FOLDER).model
    path = raw_data.write_partition(tmp_path, "flights", "2013-03", Grain.MONTH)
    raw = pd.read_parquet(path)
    found = ingest(store, model, flights, "flights", "2013-03", path)
    rows = store.batches("flights").read(["2013-03"]).to_pandas()
    assert (found.verdict, found.rows, found.quarantined, found.failures) == ("accepted", 28834, 0, {})
    assert rows["distance"].sum() == raw["distance"].sum()
    assert rows["tailnum"].isna().sum() == raw["tailnum"].isna().sum() > 0
    assert rows["time_hour"].min() == raw["time_hour"].min()
    assert caplog.messages == [f"{path}: {found.message}"], "the log is about the delivery"


def test_each_row_rule_sets_aside_its_rows_with_the_reason(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    def plant(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[0, "distance"] = -5
        frame.loc[1, "origin"] = "BOS"
        frame.loc[2, "carrier"] = "toolong"
        frame.loc[3, "dest"] = frame.loc[3, "origin"]
        frame.loc[4, "time_hour"] += pd.Timedelta(days=3)
        frame.loc[5, "dest"] = None
        frame.loc[6, ["distance", "minute"]] = [0, 77]  # two rules, one row
        return pd.concat([frame, frame.iloc[[7]]])

    rewrite(path, plant)
    total = len(pd.read_parquet(path))
    found = ingest(store, daily, flights, "flights", DAY, path)
    aside = store.quarantine("flights").read([DAY]).to_pandas()
    assert aside["rule"].value_counts().to_dict() == {
        "distance.range": 2, "origin.values": 1, "carrier.pattern": 1, "not_to_itself": 1,
        "in_partition": 1, "dest.required": 1, "minute.range": 1, "key.unique": 2,
    }  # fmt: skip
    assert found.failures == aside["rule"].value_counts().to_dict()
    assert (found.verdict, found.quarantined, found.rows) == ("accepted", 9, total - 9)
    assert store.batches("flights").part(DAY).rows == total - 9  # type: ignore[union-attr]
    assert set(aside.loc[aside["rule"] == "distance.range", "value"]) == {"-5", "0"}
    assert aside.loc[aside["rule"] == "distance.range", "reason"].iloc[0] == "outside 1 to ∞ miles"
    assert '"origin":"BOS"' in aside.loc[aside["rule"] == "origin.values", "key"].iloc[0]


def test_too_many_bad_rows_stop_the_delivery(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    rewrite(path, lambda frame: frame.assign(minute=frame["minute"].where(frame.index >= 100, 99)))
    found = ingest(store, daily, flights, "flights", DAY, path)
    assert (found.verdict, found.rows) == ("stopped", 0)
    assert found.message.startswith("Stopped: 100 of 932 rows break a rule")
    assert store.batches("flights").parts() == {}
    assert store.objects.get(found.raw_digest) == path.read_bytes()


def test_the_users_own_expectation_decides(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    own = Expectation(type="expect_column_mean_to_be_between", kwargs={"column": "distance", "max_value": 100})
    contract = flights.model_copy(update={"expectations": (own,)})
    with_warning = flights.model_copy(update={"expectations": (own.model_copy(update={"severity": "warn"}),)})
    stopped = ingest(store, daily, contract, "flights", DAY, path)
    warned = ingest(store, daily, with_warning, "flights", DAY, path)
    assert (stopped.verdict, stopped.reason) == ("stopped", Reason.EXPECTATION)
    assert "expect_column_mean_to_be_between distance does not hold" in stopped.message
    assert (warned.verdict, warned.reason) == ("accepted", "")
    assert list(warned.failures) == ["expect_column_mean_to_be_between distance"]


def test_a_file_of_another_day_says_what_it_holds(store: ModelStore, daily: Model, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "2013-02-05.parquet"
    other.write_bytes(path.read_bytes())
    with pytest.raises(BatchError) as caught:
        ingest_or_raise(store, daily, FOLDER / "contract.yaml", "flights", "2013-02-05", other)
    said = str(caught.value)
    assert "in_partition, outside day 2013-02-05 of America/New_York, such as time_hour = 2013-02-04" in said
    assert said.count("next:") == said.count("where:") == 1


def test_a_refused_file_is_told_once(store: ModelStore, daily: Model, path: Path) -> None:
    rewrite(path, lambda rows: rows.drop(columns="distance"))
    with pytest.raises(BatchError) as caught:
        ingest_or_raise(store, daily, FOLDER / "contract.yaml", "flights", DAY, path)
    assert str(caught.value).splitlines() == [
        "a column is missing",
        f"  where: {path}, column distance for flights_delay.flights {DAY}",
        "  expected: int64",
        "  found: absent",
        "  next: ask the sender for a corrected file and drop it under the same name",
    ]


def test_the_same_file_again_commits_nothing(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    first = ingest(store, daily, flights, "flights", DAY, path)
    log = store.batches("flights").blobs.below("_delta_log")
    commits = log.names()
    assert ingest(store, daily, flights, "flights", DAY, path) == first
    assert log.names() == commits
    assert len(store.records.names(Ingest.kind)) == 1


def test_a_file_of_another_partition_is_refused_by_name(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    ingest(store, daily, flights, "flights", DAY, path)
    copy = path.with_name("2013-02-05.parquet")
    copy.write_bytes(path.read_bytes())
    found = ingest(store, daily, flights, "flights", "2013-02-05", copy)
    assert (found.verdict, found.reason) == ("stopped", Reason.COPY)
    assert f"found: the same bytes as {DAY}" in found.message
    assert set(store.batches("flights").parts()) == {DAY}


@pytest.mark.parametrize("day", ["2013-03-10", "2013-11-03"])
def test_days_when_the_clock_changes_are_inside_their_partition(
    store: ModelStore, daily: Model, flights: SourceContract, tmp_path: Path, day: str
) -> None:
    path = raw_data.write_partition(tmp_path, "flights", day, Grain.DAY)
    found = ingest(store, daily, flights, "flights", day, path)
    assert (found.rows, found.failures) == (len(pd.read_parquet(path)), {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="distance"), ["a column is missing", "column distance", "expected: int64", "absent"]),
        (
            lambda f: f.assign(distance="far"),
            ["another type", "column distance", "expected: int64", "found:", "string"],
        ),
        (
            lambda f: f.assign(distance=f["distance"] + 0.5),
            ["none of the column's type", "found: double"],
        ),
        (lambda f: f.rename(columns={"dest": "a b"}), ["a column name is not accepted", "'a b'"]),
        (lambda f: f.assign(Dest="X"), ["a column name occurs twice", "Dest, dest"]),
        (lambda f: f.iloc[:0], ["the file has no rows"]),
    ],
)
def test_a_wrong_schema_is_stopped_with_a_message(
    store: ModelStore,
    daily: Model,
    flights: SourceContract,
    path: Path,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    said: list[str],
) -> None:
    rewrite(path, change)
    found = ingest(store, daily, flights, "flights", DAY, path)
    assert found.verdict == "stopped"
    assert [part for part in [*said, path.name, "next: "] if part not in found.message] == []
    assert store.batches("flights").parts() == {}


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "the file is empty"), (b"PAR1 not really", "the file cannot be read")]
)
def test_an_unreadable_file_is_stopped(store: ModelStore, daily: Model, path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(BatchError, match=said):
        ingest_or_raise(store, daily, FOLDER / "contract.yaml", "flights", DAY, path)
    assert len(store.records.names(Ingest.kind)) == 1


def test_once_only_sources_lie_in_one_partition(store: ModelStore, tmp_path: Path) -> None:
    model, contract = load_model(FOLDER).model, load_contract(FOLDER.parent / "flights_airtime" / "contract.yaml")
    path = raw_data.write_once(tmp_path, "planes")
    found = ingest(store, model, contract.sources["planes"], "planes", "", path)
    assert (found.verdict, found.rows) == ("accepted", 3322)
    assert store.context("planes").part("once").rows == 3322  # type: ignore[union-attr]


def test_a_corrected_file_replaces_the_partition(
    store: ModelStore, daily: Model, flights: SourceContract, path: Path
) -> None:
    first = ingest(store, daily, flights, "flights", DAY, path)
    rewrite(path, lambda frame: frame.iloc[:-1])
    second = ingest(store, daily, flights, "flights", DAY, path)
    assert store.batches("flights").part(DAY).digest == second.digest  # type: ignore[union-attr]
    assert second.rows == first.rows - 1
