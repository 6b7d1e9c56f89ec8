"""Whatever happens to a source in whatever order, every promise of the store holds after each step."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.incumbent.validate.conftest import read_here

from incumbent.config import Model
from incumbent.features.build import build
from incumbent.features.holds import held
from incumbent.records import Part, Revisit, Snapshot
from incumbent.retrain.requests import open_request
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store
from incumbent.store.check import check, check_model
from incumbent.store.vacuum import vacuum
from incumbent.store.violation import Violation
from incumbent.validate import do_unanswered, ingest
from incumbent.validate.contract import SourceContract
from incumbent.validate.replay import accepted_now, replay_of
from incumbent.validate.revisits import order

pytestmark = pytest.mark.unit
MONTHS = ("2020-01", "2020-02", "2020-03")
ROWS = 60
MODEL = Model.model_validate(
    {
        "name": "small",
        "owner": "tests",
        "task": "binary",
        "grain": "month",
        "start": MONTHS[0],
        "keys": ["row"],
        "time": "ts",
        "sources": {
            "events": {"role": "batch", "path": "events/{partition}.parquet"},
            "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
        },
        "label": {"sql": "x > 5"},
        "integrity": {"out_of_range": 0.01},
    }
)
SQL = b"SELECT row, ts, x FROM batch"


def contract(high: float) -> SourceContract:
    columns = {"row": {"dtype": "int64"}, "ts": {"dtype": "timestamp"}, "x": {"dtype": "float64", "max": high}}
    policy = {"max_quarantine_share": 0.9}
    return SourceContract.model_validate({"key": ["row"], "columns": columns, "policy": policy})


class History(RuleBasedStateMachine):
    """A source with deliveries, their corrections, replays, releases, and a vacuum now and then."""

    places = count()

    def __init__(self, place: Callable[[int], tuple[Store, Path]]) -> None:
        super().__init__()
        self.root, self.folder = place(next(self.places))
        self.delivered: dict[tuple[str, str], tuple[Path, float]] = {}
        self.snapshots: dict[str, Snapshot] = {}

    @property
    def store(self) -> ModelStore:
        return self.root.model("small")

    @initialize()
    def define(self) -> None:
        self.definition = self.store.objects.put(SQL)

    @rule(
        month=st.sampled_from(MONTHS),
        source=st.sampled_from(("events", "truth")),
        scale=st.sampled_from((1.0, 1.0, 1.1, 1000.0)),
        high=st.sampled_from((40.0, 1e6)),
    )
    def deliver(self, month: str, source: str, scale: float, high: float) -> None:
        path = self.folder / source / f"{month}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        start = datetime(2020, MONTHS.index(month) + 1, 1, tzinfo=UTC)
        times = [start + timedelta(hours=row) for row in range(ROWS)]
        x = [row % 50 * scale + 0.5 for row in range(ROWS)]
        rows = {"row": pa.array(range(ROWS), pa.int64()), "ts": pa.array(times, pa.timestamp("us", "UTC")), "x": x}
        pq.write_table(pa.table(rows), path)
        self.delivered[source, month] = path, high
        self.judge(source, month)

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        """A cleared run adds nothing: the same content, whatever was replayed since."""
        source, month = data.draw(st.sampled_from(sorted(self.delivered)))
        before = self.content(source, month)
        self.judge(source, month)
        assert self.content(source, month) == before

    @precondition(lambda self: self.waiting_rows())
    @rule(data=st.data(), high=st.sampled_from((45.0, 1e6)))
    def replay(self, data: st.DataObject, high: float) -> None:
        source, month = data.draw(st.sampled_from(self.waiting_rows()))
        before = self.store.source(MODEL.sources[source].role, source).parts()[month].rows
        order(self.store, replay_of(self.store, MODEL, contract(high), source, month, reason="r", by="ann"))
        record = do_unanswered(self.store, MODEL, source, month)
        assert record is not None
        assert record.rows >= before
        assert record.rows + record.quarantined == ROWS, "no row is lost, and none is there twice"

    @rule(month=st.sampled_from(MONTHS))
    def whole(self, month: str) -> None:
        """What a month brings when nothing is wrong."""
        self.deliver(month, "events", 1.0, 1e6)
        self.deliver(month, "truth", 1.0, 1e6)
        build(self.store, MODEL, self.definition, month)

    @rule(month=st.sampled_from(MONTHS[1:]))
    def strange(self, month: str) -> None:
        """A unit that has changed, as the integrity tests find it."""
        self.whole(MONTHS[0])
        self.deliver(month, "events", 1000.0, 1e6)
        build(self.store, MODEL, self.definition, month)

    @precondition(lambda self: self.store.batches("events").parts())
    @rule(data=st.data())
    def features(self, data: st.DataObject) -> None:
        month = data.draw(st.sampled_from(sorted(self.store.batches("events").parts())))
        built = build(self.store, MODEL, self.definition, month)
        assert (built.part is None) != (built.hold is None)

    @precondition(lambda self: "batches/events" in self.store.tables() and held(self.store, "events"))
    @rule()
    def release(self) -> None:
        hold = held(self.store, "events")[0]
        record = accepted_now(self.store, MODEL, "events", hold.partition)
        assert record is not None
        asked = Revisit(
            action="release",
            source="events",
            partition=hold.partition,
            raw_digest=record.raw_digest,
            contract_digest=record.contract_digest,
            accepted={"partition": hold.partition, "digest": record.digest, "rows": record.rows},
            aside={},
            rule="",
            corrections="",
            reason="r",
            by="ann",
        )
        order(self.store, asked)
        do_unanswered(self.store, MODEL, "events", hold.partition)
        assert build(self.store, MODEL, self.definition, hold.partition).part is not None

    @precondition(lambda self: self.both())
    @rule()
    def snapshot(self) -> None:
        month = max(self.both())
        request, _ = open_request(self.store, month, "manual", {}, degraded=False, message="m")
        found = take(self.store, MODEL, self.definition, month, request.id, {})
        self.snapshots[found.id] = found

    @precondition(lambda self: self.delivered)
    @rule()
    def clean(self) -> None:
        """What was replaced goes, but for what the snapshot of an open request names."""
        vacuum(self.store, 0, datetime.now(UTC) + timedelta(days=2))

    @invariant()
    def every_promise_holds(self) -> None:
        assert check_model(self.store) == []

    @invariant()
    def snapshots_are_what_they_were(self) -> None:
        for name, found in self.snapshots.items():
            assert self.store.records.get(Snapshot, name).id == name
            parts = [Part(**part) for part in found.features]
            assert self.store.features(found.definition).read_parts(parts).num_rows == sum(part.rows for part in parts)

    def judge(self, source: str, month: str) -> None:
        path, high = self.delivered[source, month]
        with read_here():
            ingest(self.store, MODEL, contract(high), source, month, path)

    def content(self, source: str, month: str) -> str:
        part = self.store.source(MODEL.sources[source].role, source).part(month)
        return "" if part is None else part.digest

    def waiting_rows(self) -> list[tuple[str, str]]:
        found = []
        for source in MODEL.sources:
            parts = self.store.quarantine(source).parts()
            found += [(source, month) for month, part in parts.items() if part.rows]
        return found

    def both(self) -> set[str]:
        truth = self.store.outcomes("truth").parts()
        return set(self.store.features(self.definition).parts()) & set(truth)


LENGTH = {"stateful_step_count": 25, "deadline": None, "suppress_health_check": list(HealthCheck)}


def violations_after(examples: int, place: Callable[[int], tuple[Store, Path]]) -> list[Violation]:
    """Run so many histories, each in a store of its own, and return what the check finds in the end."""
    stores: list[Store] = []

    def noted(number: int) -> tuple[Store, Path]:
        store, raw = place(number)
        stores.append(store)
        return store, raw

    run_state_machine_as_test(lambda: History(noted), settings=settings(max_examples=examples, **LENGTH))
    assert any(store.models() for store in stores), "no history had a delivery"
    return [found for store in stores for found in check(store)]


@pytest.mark.parametrize("examples", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_in_any_order_on_a_folder(tmp_path: Path, examples: int) -> None:
    def place(number: int) -> tuple[Store, Path]:
        return Store(tmp_path / f"store-{number}"), tmp_path / f"raw-{number}"

    assert violations_after(examples, place) == []


@pytest.mark.parametrize("examples", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_in_any_order_on_s3(tmp_path: Path, s3_options: dict[str, str], examples: int) -> None:
    from tests.s3_server import BUCKET

    def place(number: int) -> tuple[Store, Path]:
        address = f"s3://{BUCKET}/{tmp_path.name}/{number}"
        return Store.at(address, tmp_path / f"work-{number}", s3_options), tmp_path / f"raw-{number}"

    assert violations_after(examples, place) == []
