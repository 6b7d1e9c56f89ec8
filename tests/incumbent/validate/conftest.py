"""A small model whose deliveries fit in a few lines: rows of January 2020, one number each."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.admit.child import READERS
from incumbent.admit.columns import schema_of
from incumbent.admit.order import Order
from incumbent.admit.read import Admitted
from incumbent.cli.main import main
from incumbent.config import Model
from incumbent.records import Ingest
from incumbent.store import ModelStore, Store
from incumbent.validate import ingest
from incumbent.validate.admission import admit, copied
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import DeliveredRows

ROWS = 20
COLUMNS = {"row": {"dtype": "int64"}, "ts": {"dtype": "timestamp"}, "x": {"dtype": "float64"}}
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
Contract = Callable[..., SourceContract]
Write = Callable[..., Path]
Deliver = Callable[..., Ingest]
Command = Callable[..., int]


@pytest.fixture
def store(any_store: Store) -> ModelStore:
    return any_store.model("store")


@pytest.fixture
def local(tmp_path: Path) -> ModelStore:
    """An empty store in a folder, for what does not depend on the place."""
    return Store(tmp_path / "store").model("small")


@pytest.fixture
def small() -> Model:
    return small_model()


def small_model() -> Model:
    return Model.model_validate(
        {
            "name": "small",
            "owner": "tests",
            "task": "binary",
            "grain": "month",
            "start": "2020-01",
            "keys": ["row"],
            "time": "ts",
            "sources": {
                "events": {"role": "batch", "path": "events/{partition}.parquet"},
                "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
                "prices": {"role": "context", "path": "prices/{partition}.parquet"},
            },
            "label": {"sql": "late"},
        }
    )


@pytest.fixture
def contract() -> Contract:
    return build_contract


def build_contract(columns: dict[str, Any] | None = None, **given: Any) -> SourceContract:
    """Return a contract of the columns `row`, `ts`, `x` and what is added, which sets any row aside that it must."""
    plain = {"key": ["row"], "columns": {**COLUMNS, **(columns or {})}, "policy": {"max_quarantine_share": 1.0}}
    return SourceContract.model_validate({**plain, **given})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return partial(write_delivery, tmp_path)


def write_delivery(folder: Path, partition: str = "2020-01", source: str = "events", **columns: Any) -> Path:
    """Write a delivery of one month; `x` counts from 0, other columns are added or replaced by name."""
    start = FIRST.replace(month=int(partition[-2:]))
    given = {
        "row": pa.array(range(ROWS), pa.int64()),
        "ts": pa.array([start + timedelta(hours=row) for row in range(ROWS)], pa.timestamp("us", "UTC")),
        "x": pa.array([float(row) for row in range(ROWS)]),
    }
    path = folder / "raw" / source / f"{partition}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**given, **columns}), path)
    return path


def admitted_rows(path: Path, contract: SourceContract) -> list[dict[str, Any]]:
    """Return the rows of a file as they are admitted, before anything judges them."""
    with TemporaryDirectory() as folder:
        copy, _ = copied(path, Path(folder), contract.policy.max_bytes)
        rows = DeliveredRows(Path(folder), contract, "events", [])
        admit(path, copy, contract, rows)
        rows.set_aside([])
        with rows.good() as good:
            found: list[dict[str, Any]] = good.read_all().to_pylist()
            return found


@contextmanager
def read_here() -> Iterator[None]:
    """Read delivered files in this process, for scenarios that are killed a hundred times.

    The child that reads them touches nothing that is stored; to start it takes most of a second.
    """

    @contextmanager
    def admitted(order: Order) -> Iterator[Admitted]:
        batches = (batch.replace_schema_metadata(None) for batch in READERS[order.format](order))
        yield Admitted(pa.RecordBatchReader.from_batches(schema_of(order), batches), {})

    with patch("incumbent.validate.admission.admitted", admitted):
        yield


@pytest.fixture
def command(store: ModelStore, small: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `incumbent …` over the same store, with a contract that all sources share; return the exit status."""
    if not hasattr(store.blobs, "folder"):
        pytest.skip("the command's store is named by the environment: a folder is enough")
    folder = tmp_path / "models" / store.name
    monkeypatch.setenv("INCUMBENT_MODELS", str(folder.parent))
    monkeypatch.setenv("INCUMBENT_STORE", str(tmp_path / "store"))

    def run(contract: SourceContract, *words: str) -> int:
        write_folder(folder, small.model_copy(update={"name": store.name}), contract)
        return main(words)

    return run


def write_folder(folder: Path, model: Model, contract: SourceContract) -> None:
    """Write a model's folder as the commands read it, with one contract for all sources."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(json.dumps(model.model_dump(mode="json", exclude_defaults=True)))
    sources = {name: contract.model_dump(mode="json", exclude_defaults=True) for name in model.sources}
    (folder / "contract.yaml").write_text(json.dumps({"sources": sources}))


@pytest.fixture
def deliver(store: ModelStore, small: Model, contract: Contract, write: Write) -> Deliver:
    """Ingest one month of `events` under a contract."""

    def build(given: SourceContract | None = None, partition: str = "2020-01", **columns: Any) -> Ingest:
        return ingest(store, small, given or contract(), "events", partition, write(partition, **columns))

    return build
