"""KPIs: the means that they should be, errors that hold, and every mistake named."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from incumbent.config import Gates, Guard, Model
from incumbent.errors import ConfigError
from incumbent.kpi import guard, kpi_differences, kpi_rows, kpi_values, kpis_of, said_columns
from incumbent.sensitive import Sensitive
from incumbent.stats import Difference

pytestmark = pytest.mark.unit
PAGE = Path(__file__).parents[2] / "docs" / "kpi.md"
(EXAMPLE,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.S)


def model(task: str = "binary") -> Model:
    label = {"sql": "late"} if task == "binary" else {"sql": "state", "classes": ["a", "b", "c"]}
    return Model.model_validate(
        {
            "name": "orders", "owner": "tests", "task": task, "grain": "month", "start": "2026-01",
            "keys": ["order_id"], "time": "at", "timezone": "Europe/Berlin", "label": label,
            "sources": {
                "orders": {"role": "batch", "path": "{partition}.csv"},
                "outcomes": {"role": "outcomes", "path": "o{partition}.csv"},
            },
        }
    )  # fmt: skip


MODEL = model()


def rows(seed: int = 1, count: int = 500, better: float = 0.0) -> pa.Table:
    random = np.random.default_rng(seed)
    late = random.random(count) < 0.3
    said = np.clip(0.3 + 0.2 * (late - 0.3) + better * (late - 0.5) + 0.15 * random.normal(size=count), 0, 1)
    order = random.permutation(count)
    return pa.table({"order_id": order, "prediction": said, "late": late, "days": np.arange(count) % 20})


def by_name(found: pa.Table) -> dict[str, dict[str, object]]:
    return {row["kpi"]: row for row in found.to_pylist()}


def test_the_pages_example_gives_what_it_says() -> None:
    table = rows()
    found = by_name(kpi_values(EXAMPLE, table, MODEL))
    late, warned = np.asarray(table["late"]), np.asarray(table["prediction"]) >= 0.3
    assert list(found) == ["saved", "warned", "found", "precision"]
    assert found["saved"]["value"] == pytest.approx(np.where(warned, 40.0 * late - 5, 0).mean())
    assert found["warned"]["value"] == pytest.approx(warned.mean())
    assert found["found"]["value"] == pytest.approx(warned[late].mean())
    assert found["found"]["rows"] == late.sum()
    assert found["precision"]["value"] == pytest.approx(late[warned].mean())
    assert found["precision"]["rows"] == warned.sum()
    for each in found.values():
        assert each["low"] < each["value"] < each["high"]  # type: ignore[operator]


def test_the_pages_guards_are_configuration() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    assert "max_decrease: 0.05" in text
    gates = Gates.model_validate({"kpi": {"saved": {"max_decrease": 0.05}, "warned": {"max_increase": 0.02}}})
    assert gates.kpi["warned"] == Guard(max_increase=0.02)
    for wrong in ({}, {"max_decrease": 0.1, "max_increase": 0.1}, {"max_decrease": -1}):
        with pytest.raises(ValueError, match="max_"):
            Guard.model_validate(wrong)


def test_the_mean_is_numpys_and_so_is_its_error() -> None:
    table = rows()
    found = by_name(kpi_values("SELECT order_id, prediction AS p FROM rows", table, MODEL))["p"]
    said = np.asarray(table["prediction"])
    assert found["value"] == pytest.approx(said.mean())
    assert found["error"] == pytest.approx(said.std(ddof=1) / np.sqrt(500))


def test_the_interval_of_a_ratio_holds_as_often_as_it_says() -> None:
    sql = "SELECT order_id, x AS r__numerator, y AS r__denominator FROM rows"
    inside = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        days = np.repeat(np.arange(30), 20)
        luck = random.normal(size=30)[days]
        y = random.gamma(2.0, 1.0, 600)
        table = pa.table({"order_id": np.arange(600), "x": 1.5 * y + luck + random.normal(size=600), "y": y})
        found = by_name(kpi_values(sql, table, MODEL, days))["r"]
        inside += found["low"] < 1.5 < found["high"]  # type: ignore[operator]
    assert binomtest(inside, 300, 0.95).pvalue > 0.001, inside


def test_values_are_those_of_the_rows_whatever_order_the_sql_gives_them() -> None:
    sql = "SELECT order_id, prediction AS p FROM rows ORDER BY prediction DESC"
    table = rows()
    (found,) = kpis_of(sql, table, MODEL)
    np.testing.assert_array_equal(found.over, np.asarray(table["prediction"]))


def test_two_contenders_are_compared_row_by_row() -> None:
    base = rows()
    same = kpi_differences(kpis_of(EXAMPLE, base, MODEL), kpis_of(EXAMPLE, base, MODEL), None)
    assert {(each.estimate, each.error) for each in same.values()} == {(0.0, 0.0)}
    better = kpi_differences(kpis_of(EXAMPLE, rows(better=0.3), MODEL), kpis_of(EXAMPLE, base, MODEL), None)
    assert better["saved"].estimate > 1
    assert better["saved"].lower(0.01) > 0
    days = np.asarray(base["days"])
    clustered = kpi_differences(kpis_of(EXAMPLE, rows(better=0.3), MODEL), kpis_of(EXAMPLE, base, MODEL), days)
    assert clustered["saved"].clusters == 20


@pytest.mark.parametrize(
    ("limit", "estimate", "error", "passed"),
    [
        ({"max_decrease": 0.01}, 0.0, 0.0, True),
        ({"max_decrease": 0.01}, -0.01, 0.0, True),
        ({"max_decrease": 0.01}, -0.02, 0.001, False),
        ({"max_decrease": 0.01}, -0.005, 0.01, None),
        ({"max_increase": 0.01}, 0.02, 0.001, False),
        ({"max_increase": 0.01}, -5.0, 0.001, True),
        ({"max_increase": 0.01}, 0.005, 0.01, None),
    ],
)
def test_a_guard_needs_evidence(limit: dict[str, float], estimate: float, error: float, passed: bool | None) -> None:
    found = guard("saved", Difference(estimate, error, 30, 29), Guard.model_validate(limit))
    assert found["passed"] is passed
    assert found["gate"] == "kpi saved"


def test_a_kpi_that_is_not_measured_is_no_evidence() -> None:
    found = guard("saved", None, Guard(max_decrease=0.1))
    assert found["passed"] is None
    assert "not measured" in found["sentence"]


@pytest.mark.parametrize(
    ("sql", "state"),
    [
        ("SELECT order_id, NULL AS p FROM rows", "no rows"),
        ("SELECT order_id, NULL::DOUBLE AS p FROM rows", "no rows"),
        ("SELECT order_id, 'nan'::DOUBLE AS p FROM rows", "not finite"),
        ("SELECT order_id, 'inf'::DOUBLE AS p FROM rows", "not finite"),
        ("SELECT order_id, 1 AS p__numerator, 0 AS p__denominator FROM rows", "no rows"),
        (
            "SELECT order_id, 1 AS p__numerator, 2 * (order_id % 2) - 1 AS p__denominator FROM rows",
            "nothing to divide by",
        ),
        ("SELECT order_id, 1 AS p FROM rows", "measured"),
        ("SELECT order_id, true AS p FROM rows", "measured"),
        ("SELECT order_id, 1.5::DECIMAL(9, 2) AS p FROM rows", "measured"),
    ],
)
def test_a_kpi_without_a_number_says_why(sql: str, state: str) -> None:
    (found,) = kpi_values(sql, rows(), MODEL).to_pylist()
    assert found["state"] == state
    assert (found["value"] is None) == (state != "measured")


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_have_no_error(count: int) -> None:
    (found,) = kpi_values("SELECT order_id, prediction AS p FROM rows", rows(count=count), MODEL).to_pylist()
    assert (found["state"], found["error"]) == ("measured" if count else "no rows", None)
    one_day = kpi_values("SELECT order_id, prediction AS p FROM rows", rows(), MODEL, np.zeros(500, int)).to_pylist()[0]
    assert (one_day["error"], one_day["clusters"]) == (None, 1)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("", "SELECT"),
        ("DROP TABLE rows", "SELECT"),
        ("SELECT 1 AS p FROM rows", "no column order_id"),
        ("SELECT order_id FROM rows", "no column beside the keys"),
        ("SELECT order_id, random() AS p FROM rows", "random() is another value in each run"),
        ("SELECT order_id, 1 AS p\nFROM read_csv('/etc/passwd')", "it reads read_csv"),
        ("SELECT order_id, 1 AS p FROM '/etc/passwd'", "it reads /etc/passwd"),
        ("SELECT order_id, 1 AS p FROM batch", "it reads batch"),
        ("SELECT order_id, gone AS p FROM rows", "gone"),
        ("SELECT order_id, 'a' AS p FROM rows", "p is string"),
        ('SELECT order_id, prediction AS "P!" FROM rows', "a KPI is named 'P!'"),
        ("SELECT order_id, 1 AS p__numerator FROM rows", "p__numerator without p__denominator"),
        ("SELECT order_id, 1 AS p, 1 AS p__numerator, 1 AS p__denominator FROM rows", "a mean and a ratio of one name"),
        ("SELECT order_id, 1 AS p FROM rows LIMIT 3", "LIMIT without ORDER BY"),
        ("SELECT order_id, 1 AS p FROM rows WHERE late", "rows"),
        ("SELECT order_id, 1 AS p FROM rows UNION ALL SELECT order_id, 1 FROM rows", "1000 rows"),
        ("SELECT max(order_id) AS order_id, avg(prediction) AS p FROM rows", "1 rows"),
    ],
)
def test_a_mistake_is_named(sql: str, says: str) -> None:
    with pytest.raises(ConfigError, match="the KPIs are refused") as error:
        kpi_values(sql, rows(), MODEL)
    assert says in str(error.value)
    assert "kpi.sql" in str(error.value)


def test_rows_are_predictions_beside_their_labelled_outcomes() -> None:
    at = pa.array([datetime(2026, 1, day, 23, 30, tzinfo=UTC) for day in (1, 2, 3)])
    said = pa.table({"order_id": [3, 1, 2], "at": at, "prediction": [0.3, 0.1, 0.2]})
    known = pa.table({"order_id": [1, 3, 9], "late": [True, False, True], "prediction": ["x"] * 3, "label": [1.0] * 3})
    found = kpi_rows(MODEL, said, known)
    assert found["order_id"].to_pylist() == [1, 3]
    assert found["prediction"].to_pylist() == [0.1, 0.3]
    assert [str(day) for day in found["local_date"].to_pylist()] == ["2026-01-03", "2026-01-02"]
    assert set(found.column_names) == {"order_id", "at", "prediction", "late", "label", "local_date"}


def test_of_several_classes_the_likeliest_is_said() -> None:
    found = said_columns(np.array([[0.2, 0.5, 0.3], [0.6, 0.4, 0.0]]), ("a", "b", "c"))
    assert found["prediction"].to_pylist() == ["b", "a"]
    assert found["probability"].to_pylist() == [0.5, 0.6]


def test_a_sensitive_value_is_not_repeated() -> None:
    secret = MODEL.with_sensitive(Sensitive(masked={"outcomes": ("mail",)}))
    table = rows(count=5).append_column("mail", pa.array(["ann@example.org"] * 5))
    with pytest.raises(ConfigError) as error:
        kpi_values("SELECT order_id, mail::DOUBLE AS p FROM rows", table, secret)
    assert "ann" not in str(error.value)
