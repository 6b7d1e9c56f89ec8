"""Leaks of a label of several classes: its numbers are names, and nothing is told from their size."""

import numpy as np
import pyarrow as pa
import pytest
from tests.incumbent.leaks.tables import of_classes, table
from tests.incumbent.leaks.test_find import GROUPS, N, means, said

from incumbent.leaks import LeakReport, find_leaks
from incumbent.leaks.finding import ROW_ORDER

pytestmark = pytest.mark.unit
NUMBERS = {"absent": 0.0, "mild": 1.0, "severe": 2.0}


def look(columns: dict[str, object], **changes: object) -> LeakReport:
    return find_leaks(table(columns), "label", "multiclass", **changes)


def numbers(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([NUMBERS[name] for name in columns["label"]])


def leaks(y: np.ndarray, rng: np.random.Generator) -> dict[str, tuple[str, object]]:
    severe = (y == 2).astype(float)
    return {
        "other names": ("copy", np.array(["low", "none", "high"])[y.astype(int)]),
        "its number": ("copy", y),
        "several values a class": ("copy", 10 * y + rng.integers(0, 2, N)),
        "a heap a class": ("copy", y + 0.05 * rng.normal(size=N)),
        "whether it is one class": ("copy", severe),
        "filled for one class": ("copy", pa.array(rng.normal(size=N), mask=severe == 0)),
        "its number with noise": ("independent", y + 0.5 * rng.normal(size=N)),
        "one class with noise": ("independent", severe + 0.4 * rng.normal(size=N)),
        "the group's share of a class": ("own_label", means(severe, GROUPS)),
        "following rows": ("window", np.convolve(np.r_[severe, np.zeros(4)], np.full(5, 0.2), "valid")),
        "a number given in order": ("serial", np.argsort(np.argsort(y + rng.random(N)))),
    }


@pytest.mark.parametrize("kind", leaks(np.zeros(N), np.random.default_rng(0)))
def test_a_planted_leak_is_named_by_its_test_and_nothing_else_is(kind: str) -> None:
    columns = of_classes()
    test, leak = leaks(numbers(columns), np.random.default_rng(5))[kind]
    assert said(look({**columns, "planted": leak})) == [("planted", test)]


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_table_has_no_leak(seed: int) -> None:
    assert look(of_classes(seed)).findings == ()


def test_the_numbers_of_classes_are_names() -> None:
    """Renamed, the classes have other numbers; what leaks and what does not stays what it is."""
    columns = of_classes()
    rng = np.random.default_rng(5)
    columns["planted"] = numbers(columns) + 0.5 * rng.normal(size=N)
    order = {"absent": 5.0, "mild": 0.0, "severe": 1.0}
    other = {**columns, "label": np.array([order[name] for name in columns["label"]])}
    assert said(look(columns)) == said(look(other)) == [("planted", "independent")]


def test_a_time_is_named_that_leaks_beside_its_plan_only() -> None:
    rng = np.random.default_rng(5)
    columns = of_classes()
    plan = rng.uniform(300, 1400, N).round(-1)
    columns |= {"planned": plan, "real": plan + 30 * numbers(columns) + rng.normal(0, 8, N)}
    assert said(look(columns)) == [("real", "twin")]


def test_the_order_of_the_rows_is_named_once() -> None:
    columns = of_classes()
    order = np.argsort(numbers(columns), kind="stable")
    lying = {name: values[order] for name, values in columns.items()}
    assert said(look(lying)) == [(ROW_ORDER, "row_order")]


def test_rare_classes_are_not_looked_at_and_one_alone_is_too_few() -> None:
    columns = of_classes()
    columns["label"] = np.where(np.arange(N) < 3, "rare", columns["label"])
    columns["planted"] = (columns["label"] == "rare").astype(float)
    assert look(columns).findings == ()
    columns["label"] = np.where(np.arange(N) < 9, "rare", "common")
    assert look(columns).not_judged[""] == "too few rows to say: 9 of the second largest class of the 10 needed"
    columns["label"] = np.full(N, "common")
    assert look(columns).not_judged[""].startswith("too few rows to say: 0 of")
