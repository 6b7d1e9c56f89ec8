"""Slices veto by harm that luck does not explain; those that a person named must be shown not to be worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from duels import duel, groups, of_classes, regression
from scipy.stats import norm

from incumbent.config import Gates
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.gates.slices import holm, slices
from incumbent.stats import paired_auc_difference

pytestmark = pytest.mark.unit
ROWS = 12_000


def sliced(harm: float = 0.0, named: bool = False, share: float = 0.25) -> Contest:
    """Return a contest that the candidate wins, though it says less of the rows of slice `a`."""
    rng = np.random.default_rng(5)
    contest = duel(rng, ROWS, 0.03)
    codes = np.where(rng.random(ROWS) < share, 0, rng.integers(1, 4, ROWS))
    odds = np.log(contest.challenger / (1 - contest.challenger))
    # It knows that it knows less, so the loss of the whole is as good as before.
    unsure = odds.mean() + (odds - odds.mean() + harm * rng.normal(size=ROWS)) * odds.var() / (odds.var() + harm**2)
    said = 1 / (1 + np.exp(-np.where(codes == 0, unsure, odds)))
    return replace(contest, challenger=said, slices=(groups("region", codes, named=named),))


def test_the_table_has_each_slice_with_its_numbers() -> None:
    contest = sliced()
    found = slices(contest)
    assert (found["passed"], found["sentence"]) == (True, "no harm in 4 slices of 1 column")
    assert contest.slices is not None
    for at, row in enumerate(found["slices"]):
        own = contest.slices[0].codes == at
        apart = paired_auc_difference(contest.labels[own], contest.challenger[own], contest.champion[own])
        assert (row["column"], row["slice"], row["rows"]) == ("region", "abcd"[at], int(own.sum()))
        assert row["positives"] == int(contest.labels[own].sum())
        assert row["candidate"] - row["champion"] == pytest.approx(row["difference"])
        assert row["lower"] == pytest.approx(apart.estimate - norm.isf(0.05) * apart.error, abs=1e-4)
        assert row["p_harm"] == pytest.approx(norm.cdf(apart.estimate / apart.error), abs=1e-3)


@pytest.mark.parametrize("named", [False, True])
def test_a_gain_on_the_whole_does_not_pay_for_harm_to_a_slice(named: bool) -> None:
    verdict = judge(sliced(harm=3.0, named=named, share=0.1))
    assert verdict.verdict == "reject"
    assert [gate["gate"] for gate in verdict.gates if gate["passed"] is False] == ["slices"]
    assert verdict.sentence.startswith("Not promoted: region = a is harmed: -0.")
    assert [row["harmed"] for row in slices(sliced(harm=3.0, share=0.1))["slices"]] == [True, False, False, False]


def test_a_slice_of_a_name_must_be_shown_not_to_be_worse_and_a_found_one_only_not_to_be_harmed() -> None:
    unclear = 0.9
    assert slices(sliced(harm=unclear))["passed"] is True
    named = slices(sliced(harm=unclear, named=True))
    assert named["passed"] is None
    assert named["sentence"].startswith("not shown that region = a loses less than 0.020: ")
    assert ", 90 % interval " in named["sentence"]
    wide = replace(sliced(harm=unclear, named=True), limits=Gates(slice_margin=0.1))
    assert slices(wide)["passed"] is True


def test_a_small_slice_of_a_name_has_a_veto_and_nothing_to_show() -> None:
    """60 positives: too few to be shown, enough to be harmed."""
    found = slices(sliced(harm=0.9, named=True, share=0.05))
    (small,) = (row for row in found["slices"] if row["slice"] == "a")
    assert small["positives"] < 100
    assert (small["tested"], small["required"], found["passed"]) == (True, False, True)
    assert slices(sliced(harm=6.0, named=True, share=0.05))["passed"] is False


def test_a_tiny_slice_is_told_and_not_judged() -> None:
    found = slices(sliced(harm=6.0, share=0.01))
    (tiny,) = (row for row in found["slices"] if row["slice"] == "a")
    assert tiny["positives"] < 20
    assert (tiny["tested"], found["passed"]) == (False, True)
    only = sliced(named=True)
    assert slices(replace(only, slices=(replace(only.slices[0], codes=np.arange(ROWS) // 30),)))["passed"] is None  # type: ignore[index]


def test_no_slice_at_all_says_so_and_is_none_of_the_gates_that_passed() -> None:
    verdict = judge(replace(sliced(), slices=()))
    (found,) = (gate for gate in verdict.gates if gate["gate"] == "slices")
    assert (found["passed"], found["applies"]) == (True, False)
    assert found["sentence"].startswith("does not apply: no feature is a category")
    assert (len(verdict.gates), verdict.sentence[:12]) == (7, "All 6 gates ")


def test_equal_candidates_are_rarely_vetoed_however_many_slices_there_are() -> None:
    """Holm holds 5 % over all slices together; by themselves 40 slices would veto nearly always."""
    rng = np.random.default_rng(8)
    vetoed = single = 0
    for _ in range(100):
        contest = duel(rng, 6000, days=10, luck=0.1)
        codes = [groups(f"column {number}", rng.integers(0, 4, 6000)) for number in range(10)]
        found = slices(replace(contest, slices=tuple(codes)))
        vetoed += found["passed"] is False
        single += any(row["p_harm"] < 0.05 for row in found["slices"])
    assert vetoed <= 11, "at most 5 of 100, and 11 in one case of 200"
    assert single > 25, "without Holm"


def test_holm_is_what_statistics_books_say() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([], 0.05) == []


@pytest.mark.parametrize("made", [regression, of_classes])
def test_numbers_and_classes_have_slices_of_the_loss_they_save(made: object) -> None:
    rng = np.random.default_rng(3)
    contest = made(rng)  # type: ignore[operator]
    codes = rng.integers(0, 3, contest.labels.size)
    found = slices(replace(contest, slices=(groups("region", codes, named=True),)))
    assert found["passed"] is True
    assert "positives" not in found["slices"][0]
    own = codes == 0
    saved = 1 - contest.losses(contest.challenger)[own].mean() / contest.losses(contest.champion)[own].mean()
    assert found["slices"][0]["difference"] == pytest.approx(saved)
    turned = replace(contest, challenger=np.where((codes == 0).reshape(-1, *[1] * (contest.challenger.ndim - 1)),
        contest.champion, contest.challenger), champion=contest.challenger)  # fmt: skip
    harmed = slices(replace(turned, slices=(groups("region", codes),)))
    assert harmed["passed"] is False
    assert "saved -" in harmed["sentence"]
