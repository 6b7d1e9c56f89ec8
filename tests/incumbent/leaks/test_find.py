"""Each kind of leak is named by its own test, and its honest neighbour is not."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.leaks import single_aucs
from tests.incumbent.leaks.tables import honest, table

from incumbent.errors import ConfigError
from incumbent.leaks import LeakReport, find_leaks
from incumbent.leaks.finding import ROW_ORDER
from incumbent.records import canonical_json

pytestmark = pytest.mark.unit
N = 1200
Plant = Callable[[np.ndarray, np.random.Generator], object]


def look(columns: dict[str, object], task: str = "binary", **changes: object) -> LeakReport:
    return find_leaks(table(columns), "label", task, **changes)


def said(report: LeakReport) -> list[tuple[str, str]]:
    return [(finding.column, finding.test) for finding in report.findings]


def means(label: np.ndarray, codes: np.ndarray, prior: float = 0.0) -> np.ndarray:
    sums, counts = np.bincount(codes, weights=label), np.bincount(codes)
    return ((sums + prior * label.mean()) / (counts + prior))[codes]


def numbers(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.argsort(np.argsort(label + rng.random(N)))


def past_means(label: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The mean of the group's earlier rows: what an honest encoding knows."""
    out, sums, counts = np.empty(label.size), np.zeros(codes.max() + 1), np.zeros(codes.max() + 1)
    for row, (code, truth) in enumerate(zip(codes, label, strict=True)):
        out[row] = (sums[code] + 0.5) / (counts[code] + 1)
        sums[code], counts[code] = sums[code] + truth, counts[code] + 1
    return out


GROUPS = np.random.default_rng(6).integers(0, N // 8, N)
PLANTED: dict[str, tuple[str, Plant]] = {
    "copy": ("copy", lambda y, rng: np.where(y > 0, "yes", "no")),
    "filled for one class only": ("copy", lambda y, rng: pa.array(rng.normal(size=N), mask=y < 0.5)),
    "two heaps": ("copy", lambda y, rng: 1000 * y + rng.normal(size=N)),
    "two heaps with a few between": ("copy", lambda y, rng: y + 0.1 * rng.normal(size=N)),
    "noisy copy": ("independent", lambda y, rng: y + 0.5 * rng.normal(size=N)),
    "copy with errors": ("independent", lambda y, rng: np.where(rng.random(N) < 0.1, 1 - y, y)),
    "filled for most of one class": ("independent", lambda y, rng: pa.array(y, mask=rng.random(N) > 0.2 + 0.7 * y)),
    "group mean": ("own_label", lambda y, rng: means(y, GROUPS)),
    "mean of four regions": ("own_label", lambda y, rng: means(y, rng.integers(0, 4, N))),
    "smoothed group mean": ("own_label", lambda y, rng: means(y, GROUPS, 10)),
    "mean of following rows": ("window", lambda y, rng: np.convolve(np.r_[y, np.zeros(4)], np.full(5, 0.2), "valid")),
    "number in label order": ("serial", lambda y, rng: numbers(y, rng)),
    "text number in label order": ("serial", lambda y, rng: [f"C-{number:06d}" for number in numbers(y, rng)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_leak_is_named_by_its_test_and_nothing_else_is(kind: str) -> None:
    columns = honest()
    test, leak = PLANTED[kind]
    report = look({**columns, "planted": leak(columns["label"], np.random.default_rng(5))})
    assert said(report) == [("planted", test)]
    assert canonical_json(report.findings[0].evidence), "the gate records these numbers"


@pytest.mark.parametrize(
    ("test", "leak"),
    [
        ("copy", lambda y, rng: 3 * y + 7),
        ("copy", lambda y, rng: np.exp(y / 4)),
        ("independent", lambda y, rng: y + 0.1 * y.std() * rng.normal(size=N)),
        ("independent", lambda y, rng: y + 0.5 * y.std() * rng.normal(size=N)),
        ("own_label", lambda y, rng: means(y, GROUPS)),
        ("copy", lambda y, rng: np.argsort(np.argsort(y))),
    ],
    ids=["another unit", "another scale", "a little noise", "much noise", "group mean", "sorted id"],
)
def test_leaks_of_a_number_are_named(test: str, leak: Plant) -> None:
    columns = honest(task="regression")
    columns["planted"] = leak(columns["label"], np.random.default_rng(5))
    assert said(look(columns, "regression")) == [("planted", test)]


def test_an_honest_table_with_a_number_to_predict_has_no_leak() -> None:
    assert look(honest(task="regression"), "regression").findings == ()


@pytest.mark.parametrize(
    "neighbour",
    [
        lambda y, rng: past_means(y, GROUPS),
        lambda y, rng: np.r_[0, np.convolve(y, np.full(5, 0.2), "full")[: N - 1]],
        lambda y, rng: np.arange(N),
        lambda y, rng: pa.array(rng.normal(size=N), mask=rng.random(N) > 0.5),
        lambda y, rng: [f"name {i}" for i in rng.permutation(N)],
        lambda y, rng: np.repeat(np.arange(N // 2), 2),
    ],
    ids=["earlier rows' mean", "past rows' mean", "row number", "nulls by chance", "names", "matched pairs"],
)
def test_the_honest_neighbour_of_a_leak_is_not_named(neighbour: Plant) -> None:
    columns = honest()
    assert look({**columns, "planted": neighbour(columns["label"], np.random.default_rng(5))}).findings == ()


def test_strong_honest_columns_are_not_named_by_their_auc() -> None:
    """Two measures of one cause, as the sizes of a tumour are."""
    rng = np.random.default_rng(5)
    columns = honest(task="regression")
    cause = columns["label"]
    columns |= {"radius": cause + 0.3 * rng.normal(size=N), "area": np.exp(cause / 3 + 0.1 * rng.normal(size=N))}
    columns["label"] = (cause > 0).astype(float)
    areas = single_aucs(table(columns), "binary")
    assert min(areas["radius"], areas["area"]) > 0.98
    assert look(columns).findings == ()


def test_what_is_empty_without_an_outcome_is_known_only_after_it() -> None:
    rng = np.random.default_rng(5)
    columns = honest()
    no_outcome = np.arange(N) % 10 == 0
    columns["label"] = pa.array(columns["label"], mask=no_outcome)
    columns["arrived"] = pa.array(rng.normal(size=N), mask=no_outcome)
    columns["tail"] = pa.array(rng.normal(size=N), mask=no_outcome & (rng.random(N) < 0.4))
    report = look(columns)
    assert said(report) == [("arrived", "after")]
    assert (report.rows, report.labelled) == (1200, 1080)
    assert "100% of the rows that have no outcome" in report.findings[0].sentence


def test_a_time_is_named_that_leaks_beside_its_plan_only() -> None:
    rng = np.random.default_rng(5)
    columns = honest()
    plan = rng.uniform(300, 1400, N).round(-1)
    columns |= {"planned": plan, "real": plan + 30 * columns["label"] + rng.normal(0, 8, N)}
    assert said(look(columns)) == [("real", "twin")]
    assert look({name: values for name, values in columns.items() if name != "planned"}).findings == ()


def test_a_column_is_named_without_which_most_is_lost() -> None:
    """It depends on the others, so independence says nothing; it tells far more than all of them."""
    rng = np.random.default_rng(5)
    columns = honest()
    columns["delay"] = 2.0 * columns["label"] + 0.7 * columns["visits"] + 0.5 * rng.normal(size=N)
    columns = {name: columns[name] for name in ("visits", "spending", "shop", "delay", "label")}
    assert said(look(columns)) == [("delay", "given")]


def test_a_formula_of_honest_columns_names_none_of_them() -> None:
    """Without one of them as much is lost, and more is kept."""
    rng = np.random.default_rng(5)
    parts = {f"x{number}": rng.random(N) for number in range(5)}
    first, second, third, fourth, fifth = parts.values()
    label = 10 * np.sin(np.pi * first * second) + 20 * (third - 0.5) ** 2 + 10 * fourth + 5 * fifth
    assert look({**parts, "label": label + rng.normal(size=N)}, "regression").findings == ()


def test_a_number_whose_middle_value_is_its_largest_can_be_judged() -> None:
    columns = honest(task="regression")
    columns["label"] = np.minimum(columns["label"], np.quantile(columns["label"], 0.3))
    columns["gaps"] = pa.array(columns["age"], mask=columns["income"] > 0)
    assert look(columns, "regression").findings == ()


def test_the_order_of_the_rows_is_named_and_only_if_it_means_anything() -> None:
    columns = honest()
    order = np.argsort(columns["label"], kind="stable")
    lying = {name: values[order] for name, values in columns.items()}
    assert said(look(lying)) == [(ROW_ORDER, "row_order")]
    assert look(lying, ordered=False).findings == ()


def test_an_encoding_made_before_rows_were_left_out_is_named() -> None:
    """It hits no mean exactly, and misses them by far less than luck would."""
    rng = np.random.default_rng(5)
    columns = honest(rows=6000)
    columns["planted"] = means(columns["label"], rng.integers(0, 300, 6000), 5)
    kept = np.nonzero(rng.random(6000) > 0.1)[0]
    assert said(look({name: values[kept] for name, values in columns.items()})) == [("planted", "own_label")]


def test_several_leaks_are_all_named() -> None:
    rng = np.random.default_rng(5)
    columns = honest()
    kinds = ("copy", "noisy copy", "group mean")
    leaks = {f"leak: {kind}": PLANTED[kind][1](columns["label"], rng) for kind in kinds}
    assert set(look({**columns, **leaks}).named) == set(leaks)


def test_the_same_rows_and_seed_give_the_same_report() -> None:
    columns = honest() | {"planted": honest()["label"] + 0.5 * np.random.default_rng(1).normal(size=N)}
    assert look(columns) == look(columns)
    assert look(columns, seed=8).named == look(columns).named == ("planted",)


def test_a_value_that_no_training_takes_is_left_to_the_training_to_refuse() -> None:
    """Here it is as if it were missing: XGBoost's own words name neither the column nor what to do."""
    columns = honest()
    name = next(name for name in columns if name != "label" and np.asarray(columns[name]).dtype.kind == "f")
    values = np.asarray(columns[name]).copy()
    values[3] = 1e300
    assert look(columns | {name: values}).findings == ()


def test_too_few_rows_say_so_instead_of_guessing() -> None:
    few = look({"x": np.arange(49.0), "label": np.arange(49) % 2})
    assert (few.findings, few.not_judged[""]) == ((), "too few rows to say: 49 with a label of the 50 needed")
    rare = look({"x": np.arange(500.0), "label": np.arange(500) < 9})
    assert rare.not_judged[""] == "too few rows to say: 9 of the rarer class of the 10 needed"


def test_what_cannot_be_judged_is_listed_with_the_reason() -> None:
    columns = honest() | {"constant": np.ones(N), "empty": pa.nulls(N), "lists": [[1]] * N}
    columns["almost"] = [None] * (N - 1) + [1.0]
    assert look(columns | {"label": honest(task="regression")["label"]}, "regression").findings == ()
    report = look(columns)
    assert report.findings == ()
    assert report.not_judged == {
        "constant": "it has one value only",
        "empty": "it is empty",
        "lists": "its type is list<item: int64>",
    }


@pytest.mark.parametrize(
    ("label", "task", "words"),
    [("none", "binary", "not a column"), ("age", "binary", "does not fit"), ("shop", "regression", "does not fit")],
)
def test_a_label_that_cannot_be_used_is_an_error(label: str, task: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        find_leaks(table(honest()), label, task)


def test_a_column_that_is_empty_in_the_sample_can_be_judged() -> None:
    columns = honest(rows=30_000, task="regression")
    columns = {name: columns[name] for name in ("age", "spending", "visits", "label")}
    rare = pa.array(columns["age"], mask=np.arange(30_000) > 0)
    for task, label in (("regression", columns["label"]), ("binary", columns["label"] > 0)):
        assert look({**columns, "rare": rare, "label": label}, task).findings == ()


def test_a_large_table_is_sampled_and_says_so() -> None:
    columns = honest(rows=30_000)
    planted = columns["label"] + 0.5 * np.random.default_rng(1).normal(size=30_000)
    codes = np.random.default_rng(2).integers(0, 3000, 30_000)
    report = look({**columns, "planted": planted, "encoded": means(columns["label"], codes)})
    assert said(report) == [("encoded", "own_label"), ("planted", "independent")]
    assert (report.labelled, report.sampled) == (30_000, 10_000)
