"""A delivery is announced by one run, again when it was lost, and again when it was replaced."""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.errors import BatchError
from incumbent.partitions import Grain
from incumbent.records import Ingest
from incumbent.store import Store
from incumbent.validate import ingest_or_raise
from incumbent.validate.arrivals import claim_deliveries, new_deliveries

pytestmark = pytest.mark.unit

FLIGHTS = Path(__file__).parents[3] / "include" / "models" / "flights_delay"
MODEL = load_model(FLIGHTS).model.model_copy(update={"grain": Grain.DAY})
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = "sources: {events: {key: [row], columns: {row: {dtype: int64}, x: {dtype: float64, max: MAX}}}}"


def test_each_delivery_is_announced_once(tmp_path: Path) -> None:
    store, raw = Store(tmp_path / "store").model("m"), tmp_path / "raw"
    for day in ("2013-01-02", "2013-01-01"):
        raw_data.write_partition(raw / MODEL.name, "flights", day, Grain.DAY)
    (raw / MODEL.name / "flights" / "2013-01-03.tmp").write_bytes(b"half")
    (raw / MODEL.name / "flights" / "readme.parquet").write_bytes(b"not a partition")
    contract = FLIGHTS / "contract.yaml"

    def claim(owner: str, minutes: int = 0) -> list[str]:
        return claim_deliveries(store, MODEL, contract, "flights", raw, owner, NOW + timedelta(minutes=minutes))

    assert claim("one") == ["2013-01-01", "2013-01-02"]
    assert claim("two") == []
    assert claim("one") == ["2013-01-01", "2013-01-02"]
    assert claim("two", minutes=16) == ["2013-01-01", "2013-01-02"]
    raw_data.damage_distance(raw / MODEL.name / "flights" / "2013-01-02.parquet")
    assert claim("three", minutes=17) == ["2013-01-02"]
    assert new_deliveries(store, MODEL, contract, "flights", raw) == ["2013-01-01", "2013-01-02"]
    assert new_deliveries(store, MODEL, contract, "planes", raw) == []


def test_a_delivery_that_is_never_judged_is_announced_ever_more_rarely(feed: "Feed") -> None:
    feed.drop(1)
    announced = []
    for _ in range(17):
        feed.minute += 14
        if feed.look():
            announced.append(feed.minute)
    assert announced == [15, 30, 60, 120, 240]
    assert feed.ingest().verdict == "accepted"


class Feed:
    """The drop folder of the small model, looked at and worked off a minute after each drop."""

    def __init__(self, root: Path, model: Model, write: Callable[..., Path]) -> None:
        self.store, self.model, self.write = Store(root).model("store"), model, write
        self.raw, self.contract, self.minute = root / "raw", root / "contract.yaml", 0
        self.allow(100)

    def allow(self, largest: int) -> None:
        self.contract.write_text(RULES.replace("MAX", str(largest)))

    def drop(self, number: float, mtime: int | None = None) -> None:
        path = self.write(x=pa.array([number] * 20))
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime))

    def look(self) -> list[str]:
        self.minute += 1
        now = NOW + timedelta(minutes=self.minute)
        where = (self.contract, "events", self.raw)
        return claim_deliveries(self.store, self.model, *where, f"run {self.minute}", now)

    def ingest(self) -> Ingest:
        path = self.raw / "events" / "2020-01.parquet"
        return ingest_or_raise(self.store, self.model, self.contract, "events", "2020-01", path)


@pytest.fixture
def feed(tmp_path: Path, small: Model, write: Callable[..., Path]) -> Feed:
    return Feed(tmp_path, small, write)


@pytest.mark.parametrize("mtime", [None, 1_600_000_000 * 10**9], ids=["dropped", "copied with its time"])
def test_a_file_that_comes_back_is_announced_at_once(feed: Feed, mtime: int | None) -> None:
    for number in (1, 2, 1, 2):
        feed.drop(number, mtime)
        assert feed.look() == ["2020-01"], f"file {number}"
        assert feed.look() == [], f"file {number} is being judged"
        assert feed.ingest().verdict == "accepted"
        assert feed.look() == [], f"file {number} is judged"
    assert set(feed.store.batches("events").read(["2020-01"])["x"].to_pylist()) == {2.0}


def test_a_stopped_file_is_judged_again_under_another_contract(feed: Feed) -> None:
    feed.drop(50)
    feed.allow(10)
    assert feed.look() == ["2020-01"]
    with pytest.raises(BatchError, match="20 of 20 rows break a rule"):
        feed.ingest()
    assert feed.look() == []
    feed.allow(100)
    assert feed.look() == ["2020-01"]
    assert feed.look() == []
    assert feed.ingest().verdict == "accepted"
    feed.allow(10)
    assert feed.look() == [], "what was accepted stays accepted"


@pytest.mark.parametrize(
    ("grain", "good", "bad", "example"),
    [
        (Grain.MONTH, "2020-01", ["2020-13", "2020-1", "January"], "2013-07"),
        (Grain.WEEK, "2020-01-06", ["2020-01-08", "2020-02-30"], "2013-07-01"),
    ],
)
def test_a_name_that_is_no_key_is_said_and_ignored(
    tmp_path: Path,
    small: Model,
    caplog: pytest.LogCaptureFixture,
    grain: Grain,
    good: str,
    bad: list[str],
    example: str,
) -> None:
    folder = tmp_path / "raw" / "events"
    (folder / f"{good}.parquet").mkdir(parents=True)  # a folder is no delivery either
    model = small.model_copy(update={"grain": grain})
    (tmp_path / "contract.yaml").write_text(RULES.replace("MAX", "1"))
    look: dict[str, Any] = {"store": Store(tmp_path).model("store"), "model": model, "source": "events"}
    look |= {"contract_path": tmp_path / "contract.yaml", "raw": tmp_path / "raw"}
    for key in bad:
        (folder / f"{key}.parquet").write_bytes(b"rows")
    with caplog.at_level(logging.WARNING):
        assert new_deliveries(**look) == []
    for key in bad:
        said = [message for message in caplog.messages if str(folder / f"{key}.parquet") in message]
        assert len(said) == 1
        assert f"a {grain} key such as {example}" in said[0]
    (folder / f"{good}.parquet").rmdir()
    (folder / f"{good}.parquet").write_bytes(b"rows")
    assert new_deliveries(**look) == [good]
