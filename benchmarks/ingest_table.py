"""A delivery of any size: 21 columns, a contract of all their rules, and a definition of features over them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from incumbent.config import Model
from incumbent.validate.contract import SourceContract

PARTITION = "2020-01"
KINDS = ("alpha", "beta", "gamma", "delta")
NUMBERS, COUNTS, WORDS = range(8), range(6), range(3)
SQL = """
SELECT batch.k1, batch.k2, batch.ts, f0, f1, f2 / (1 + f3) AS share, n0 + n1 AS visits, batch.s0, s1, prices.price
FROM batch ASOF LEFT JOIN prices ON batch.s0 = prices.s0 AND batch.ts >= prices.known_at
"""


def write(file: Path, rows: int, first: int = 0) -> None:
    """Write a delivery whose rows spread over January 2020; another first number gives other rows."""
    columns = [
        "(hash(i) % 1000000007)::BIGINT AS k1",
        "i::BIGINT AS k2",
        "TIMESTAMPTZ '2020-01-01 00:00:00Z' + INTERVAL (i % 2592000) SECOND AS ts",
        *(f"(hash(i + {each} * 104729) % 1000003 / 10000.03)::DOUBLE AS f{each}" for each in NUMBERS),
        *(f"(hash(i + {each} * 7919) % 10000)::BIGINT AS n{each}" for each in COUNTS),
        *(f"{list(KINDS)}[1 + (hash(i + {each} * 31) % 4)::INT] AS s{each}" for each in WORDS),
        "'id' || (hash(i) % 100000)::VARCHAR AS t0",
    ]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        made = f"SELECT {', '.join(columns)} FROM range({first}, {first + rows}) numbers(i)"
        connection.execute(f"COPY ({made}) TO '{file}' (FORMAT parquet, COMPRESSION snappy)")


def write_prices(file: Path) -> None:
    """Write what is looked up: a price of each kind for each day."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        made = (
            f"SELECT unnest({list(KINDS)}) AS s0, TIMESTAMPTZ '2020-01-01 00:00:00Z' + INTERVAL (day) DAY AS known_at, "
            "(day * 1.5)::DOUBLE AS price FROM range(31) days(day)"
        )
        connection.execute(f"COPY ({made}) TO '{file}' (FORMAT parquet)")


def contract() -> SourceContract:
    """Return the rules: each column required, and a range, a set or a pattern where it has one."""
    columns: dict[str, dict[str, object]] = {"k1": {"dtype": "int64"}, "k2": {"dtype": "int64"}}
    columns["ts"] = {"dtype": "timestamp"}
    columns |= {f"f{each}": {"dtype": "float64", "min": 0, "max": 101} for each in NUMBERS}
    columns |= {f"n{each}": {"dtype": "int64", "min": 0, "max": 10_000} for each in COUNTS}
    columns |= {f"s{each}": {"dtype": "string", "values": list(KINDS)} for each in WORDS}
    columns["t0"] = {"dtype": "string", "pattern": "id[0-9]+"}
    policy = {"max_rows": 10**9, "max_bytes": 10**12}
    return SourceContract.model_validate({"key": ["k1", "k2"], "columns": columns, "policy": policy})


def prices_contract() -> SourceContract:
    """Return the contract of what is looked up."""
    columns = {"s0": {"dtype": "string"}, "known_at": {"dtype": "timestamp"}, "price": {"dtype": "float64"}}
    return SourceContract.model_validate({"key": ["s0", "known_at"], "columns": columns})


def model() -> Model:
    """Return the model that the delivery is for."""
    sources = {
        "events": {"role": "batch", "path": "events/{partition}.parquet"},
        "prices": {"role": "context", "path": "prices/{partition}.parquet"},
        "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
    }
    plain = {"name": "bench", "owner": "bench", "task": "binary", "grain": "month", "start": PARTITION, "time": "ts"}
    return Model.model_validate({**plain, "keys": ["k1", "k2"], "sources": sources, "label": {"sql": "late"}})
