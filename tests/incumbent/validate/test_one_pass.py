"""One pass finds what Great Expectations finds, expectation by expectation, on rows with every kind of mistake."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.incumbent.validate.conftest import FIRST, build_contract, small_model

from incumbent.validate.delivered import TABLE, DeliveredRows
from incumbent.validate.rules import row_rules
from incumbent.validate.suite import expectation, hush, judge

pytestmark = pytest.mark.unit
CONTRACT = build_contract(
    {
        "x": {"dtype": "float64", "nullable": True, "min": 0, "max": 100, "max_null_share": 0.2},
        "kind": {"dtype": "string", "values": ["a", "b"], "pattern": "[a-c]"},
        "n": {"dtype": "int64", "nullable": True, "min": 3, "max_null_share": 0.05},
    },
    key=["row", "kind"],
    row_rules={"sum": "x + n < 150", "odd{name}'s": "row <> 7"},
    policy={"min_rows": 10, "max_rows": 500},
)


def rows(seed: int, count: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    large = rng.random(count) * 130 - 10
    return pa.table(
        {
            "row": pa.array(rng.integers(0, count, count)),
            "ts": pa.array([FIRST] * count, pa.timestamp("us", "UTC")),
            "x": pa.array([None if value > 100 else float("nan") if value < -9 else value for value in large]),
            "kind": pa.array([[*"abcd", None, ""][at] for at in rng.integers(0, 6, count)]),
            "n": pa.array([None if value < 5 else int(value) for value in rng.integers(0, 100, count)], pa.int64()),
        }
    )


def by_the_library(database: Path, configs: list[dict[str, Any]]) -> dict[str, tuple[bool, Any]]:
    """Run the same expectations through Great Expectations on the same rows."""
    import great_expectations as gx

    from incumbent.validate import gx_duckdb  # noqa: F401 - registers the datasource

    hush()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    data = context.data_sources.add_duckdb_file("delivery", connection_string=f"duckdb:///{database}")
    batch = data.add_table_asset("rows", table_name=TABLE).add_batch_definition_whole_table("all")
    suite = context.suites.add(gx.ExpectationSuite(name="rows"))
    suite.expectations = [expectation(config, "rows") for config in configs]
    suite.save()
    found = context.validation_definitions.add(gx.ValidationDefinition(name="rows", data=batch, suite=suite)).run()
    return {each.expectation_config.meta["rule"]: (bool(each.success), figure(each.result)) for each in found.results}


def figure(result: Any) -> Any:
    return result.get("unexpected_count", result.get("observed_value"))


@pytest.mark.parametrize(("seed", "count"), [(1, 200), (2, 1000), (3, 5)])
def test_one_pass_finds_what_the_library_finds(tmp_path: Path, seed: int, count: int) -> None:
    delivered = DeliveredRows(tmp_path, CONTRACT, "events", row_rules(CONTRACT, small_model(), "events", "2020-01"))
    delivered.load(rows(seed, count).to_reader())
    judged = judge(CONTRACT, delivered.rules, delivered.tally())
    ours = {each.rule: (each.success, figure(each.result)) for each in judged}
    theirs = by_the_library(delivered.saved(), [dict(each.config) for each in judged])
    assert {rule: found for rule, found in ours.items() if not found[0]}, "nothing was broken"
    assert ours == theirs
