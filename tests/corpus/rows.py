"""The delivery that every file of the corpus is a variant of, and its contract."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.validate.contract import SourceContract

KEY = "2020-01"
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
COLUMNS = {
    "row": {"dtype": "int64"},
    "ts": {"dtype": "timestamp"},
    "x": {"dtype": "float64", "min": 0, "max": 100},
    "kind": {"dtype": "string", "values": ["a", "b", "c"]},
    "note": {"dtype": "string", "nullable": True},
    "n": {"dtype": "int64", "nullable": True, "max_null_share": 0.5},
    "flag": {"dtype": "bool", "nullable": True},
    "day": {"dtype": "date", "nullable": True},
}


def contract(evolution: dict[str, Any] | None = None, **policy: Any) -> SourceContract:
    """Return the contract; what is given changes its policy."""
    plain = {"key": ["row"], "columns": COLUMNS, "policy": policy, "evolution": evolution or {}}
    return SourceContract.model_validate(plain)


def model() -> Model:
    """Return the model that the deliveries belong to."""
    source = {"role": "batch", "path": "events/{partition}.parquet"}
    outcomes = {"role": "outcomes", "path": "truth/{partition}.parquet"}
    return Model.model_validate(
        {
            "name": "corpus", "owner": "tests", "task": "binary", "grain": "month", "start": KEY, "keys": ["row"],
            "time": "ts", "sources": {"events": source, "truth": outcomes}, "label": {"sql": "late"},
        }
    )  # fmt: skip


def good(rng: np.random.Generator, rows: int = 50) -> pa.Table:
    """Return rows that the contract accepts."""
    words = ["plain", "with, comma", 'with "quotes"', "Ærøskøbing", "名前", "", None]
    return pa.table(
        {
            "row": pa.array(rng.permutation(10 * rows)[:rows], pa.int64()),
            "ts": pa.array(
                [FIRST + timedelta(minutes=int(m)) for m in rng.integers(0, 44_000, rows)], pa.timestamp("us", "UTC")
            ),
            "x": pa.array(rng.random(rows) * 100),
            "kind": pa.array(rng.choice(["a", "b", "c"], rows).tolist()),
            "note": pa.array([words[at] for at in rng.integers(0, len(words), rows)], pa.string()),
            "n": pa.array([int(v) if v > 3 else None for v in rng.integers(0, 100, rows)], pa.int64()),
            "flag": pa.array([[True, False, None][at] for at in rng.integers(0, 3, rows)]),
            "day": pa.array([date(2020, 1, 1 + int(d)) if d else None for d in rng.integers(0, 30, rows)], pa.date32()),
        }
    )
