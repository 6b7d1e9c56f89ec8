"""Each gate at its edges: it fails closed, and says None where the evidence is thin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from incumbent.config import Gates
from incumbent.evaluate import Contest, judge
from incumbent.evaluate.gates.calibration import calibration, first_calibration
from incumbent.evaluate.gates.data import data
from incumbent.evaluate.gates.loss import loss
from incumbent.evaluate.gates.superiority import superiority
from incumbent.evaluate.settle import more_clusters
from incumbent.stats import Difference

pytestmark = pytest.mark.unit
RNG = np.random.default_rng(4)
TRUTH = RNG.normal(size=4200)
LABELS = (RNG.random(4200) < 1 / (1 + np.exp(1 - 1.5 * TRUTH))).astype(float)
DAYS = np.repeat(np.arange(7), 600)


def sees(share: float, seed: int = 0) -> np.ndarray:
    """Predictions of somebody who sees the truth with this correlation."""
    noise = np.random.default_rng(seed).normal(size=TRUTH.size)
    seen = share * (share * TRUTH + np.sqrt(1 - share**2) * noise)
    return 1 / (1 + np.exp(1 - 1.5 * seen))


def duel(**changes: Any) -> Contest:
    return replace(
        Contest(
            task="binary",
            labels=LABELS,
            challenger=sees(0.95),
            champion=sees(0.7, seed=1),
            clusters=DAYS,
            unit="days",
            train_rows=20_000,
            train_until="2013-01-24",
            champion_train_until="2012-12-24",
            gate_from="2013-01-25",
            limits=Gates(),
        ),
        **changes,
    )


def first_model(**changes: Any) -> Contest:
    cold = {"champion": None, "champion_train_until": "", "chance": 0.3, "baseline": sees(0.5, 2)}
    return duel(**(cold | {"baseline_feature": "hour"} | changes))


def test_a_better_challenger_passes_every_gate() -> None:
    verdict = judge(duel())
    assert verdict.verdict == "promote"
    assert [(gate["gate"], gate["passed"]) for gate in verdict.gates] == [
        ("data", True),
        ("sample", True),
        ("superiority", True),
        ("loss", True),
        ("calibration", True),
        ("chance", True),
    ]
    assert verdict.sentence.startswith("All 6 gates passed: +0.0")
    assert verdict.sentence.endswith("; better than the champion.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"challenger": np.where(np.arange(4200) == 5, np.nan, sees(0.95))}, "1 candidate scores"),
        ({"champion": np.where(np.arange(4200) < 2, np.inf, sees(0.7))}, "2 champion scores"),
        ({"labels": np.where(np.arange(4200) == 9, np.nan, LABELS)}, "1 labels"),
        ({"train_until": "2013-01-26"}, "training rows reach up to 2013-01-26"),
        ({"champion_train_until": "2013-02-01"}, "training rows reach up to 2013-02-01"),
        ({"train_until": "", "champion_train_until": ""}, "training rows reach up to ?"),
    ],
)
def test_the_data_gate_fails_closed(changes: dict[str, Any], words: str) -> None:
    verdict = judge(duel(**changes))
    assert verdict.verdict == "reject"
    assert words in verdict.sentence
    assert [gate["passed"] for gate in verdict.gates] == [False, None, None, None, None, None]


def test_training_may_end_exactly_where_the_gate_starts() -> None:
    assert data(duel(train_until="2013-01-25"))["passed"] is True


def test_too_few_rows_or_days_are_no_verdict_against_anybody() -> None:
    few = duel(limits=Gates(min_positives=int(LABELS.sum()) + 1))
    assert judge(few).verdict == "insufficient_evidence"
    assert "rows of the rarer class" in judge(few).sentence
    short = judge(duel(limits=Gates(min_clusters=8)))
    assert short.sentence.startswith("Not promoted: too few gate rows: 7 days of the 8 needed; the next partition")
    one_class = judge(duel(labels=np.zeros(4200)))
    assert one_class.verdict == "insufficient_evidence"
    assert judge(duel(limits=Gates(min_positives=int(LABELS.sum()), min_clusters=7))).verdict == "promote"


def test_identical_predictions_are_rejected() -> None:
    verdict = judge(duel(challenger=sees(0.7, 1)))
    assert verdict.verdict == "reject"
    assert verdict.gates[2]["estimate"] == 0.0


def test_a_gain_below_what_is_worth_a_change_is_not_promoted() -> None:
    """Certainly better, by less than min_improvement: a change would cost more than it brings."""
    gain = superiority(duel())["estimate"]
    above = superiority(duel(limits=Gates(min_improvement=gain - 1e-9)))
    below = superiority(duel(limits=Gates(min_improvement=gain + 1e-9)))
    far = superiority(duel(limits=Gates(min_improvement=0.4)))
    assert (above["passed"], below["passed"], far["passed"]) == (True, None, False)


def test_a_degraded_champion_needs_less_evidence_against_it() -> None:
    contest = duel(challenger=sees(0.72, 3))
    strict, mild = superiority(contest), superiority(replace(contest, degraded=True))
    assert (strict["alpha"], mild["alpha"]) == pytest.approx((0.003, 0.045))
    assert (strict["alpha_later"], mild["alpha_later"]) == pytest.approx((0.007, 0.005))
    assert mild["lower"] > strict["lower"]


def test_a_loss_that_may_have_grown_stops_the_challenger() -> None:
    better = duel()
    same_order = better.challenger**3  # ranks as well, and says nonsense
    assert superiority(replace(better, challenger=same_order))["passed"] is True
    verdict = judge(replace(better, challenger=same_order))
    assert verdict.verdict == "reject"
    assert [gate["passed"] for gate in verdict.gates] == [True, True, True, False, False, True]
    assert "log loss +" in verdict.sentence


def test_the_loss_is_a_guard_and_no_second_proof() -> None:
    """An interval that is wider than the limit keeps nobody out; a loss that is larger as far as one can see does."""
    contest = duel(challenger=sees(0.7, 5) ** 1.02)
    found = loss(contest)
    increase = found["estimate"]
    assert found["lower"] < 0 < increase < found["upper"]
    just = {limit: loss(replace(contest, limits=Gates(max_logloss_increase=limit))) for limit in (increase, 0.0)}
    assert (just[increase]["passed"], just[0.0]["passed"]) == (True, None)
    assert ", 90 % interval -" in found["sentence"], "its level is said"
    worse = replace(contest, challenger=RNG.permutation(contest.challenger))
    assert loss(worse)["passed"] is False


def test_a_recalibration_is_judged_by_the_loss_it_saves() -> None:
    """It ranks as the champion does: by AUC nothing could ever be shown."""
    tilted = sees(0.7, 1)
    odds = tilted / (1 - tilted) * 2
    contest = duel(champion=odds / (1 + odds), challenger=tilted)
    assert judge(contest).verdict == "reject"
    verdict = judge(replace(contest, by_loss=True))
    found = {gate["gate"]: gate for gate in verdict.gates}
    assert (verdict.verdict, found["superiority"]["metric"]) == ("promote", "log loss")
    assert "log loss saved +" in verdict.sentence
    assert "alpha_later" not in found["superiority"], "nothing is kept for shadow"
    assert found["superiority"]["alpha"] == Gates().alpha
    assert found["chance"]["metric"] == "AUC", "what it ranks is as good as ever"
    degraded = judge(replace(contest, by_loss=True, degraded=True))
    assert degraded.gates[2]["alpha"] == Gates().alpha, "a training follows, and has the larger rate"
    back = replace(contest, champion=contest.challenger, challenger=contest.champion, by_loss=True)
    assert judge(back).verdict == "reject"


def test_calibration_is_relative_to_the_champion() -> None:
    """A week with another base rate makes both miss, and keeps no better challenger out."""
    rng = np.random.default_rng(8)
    hard_week = np.maximum(LABELS, rng.random(4200) < 0.3)
    assert calibration(duel(labels=hard_week))["passed"] is True
    assert first_calibration(first_model(labels=hard_week))["passed"] is False
    shifted = np.clip(sees(0.95) + 0.1, 0, 1)
    off = calibration(duel(challenger=shifted))
    assert off["passed"] is False
    assert f": {off['estimate']:.4f} more; at most {off['allowed']:.4f} more is allowed" in off["sentence"]
    # As far off as the champion, on the other side.
    mirrored = duel(challenger=sees(0.95) - 0.05, champion=sees(0.95) + 0.05)
    assert calibration(mirrored)["passed"] is True


def test_a_first_model_must_beat_chance_and_one_feature() -> None:
    verdict = judge(first_model())
    assert verdict.verdict == "promote"
    assert [gate["gate"] for gate in verdict.gates] == ["data", "sample", "chance", "baseline", "calibration"]
    assert judge(first_model(baseline=sees(0.999))).verdict == "reject"
    assert judge(first_model(baseline=None)).verdict == "reject"
    assert judge(first_model(challenger=RNG.permutation(sees(0.95)))).verdict != "promote"
    few = judge(first_model(train_rows=999))
    assert few.verdict == "insufficient_evidence"
    assert "999 of the 1,000 needed" in few.sentence


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_labels_never_pass(seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(LABELS)
    chance = float(shuffled.mean())
    honest = np.full(4200, chance) + 0.001 * np.random.default_rng(seed + 100).normal(size=4200)
    assert judge(duel(labels=shuffled)).verdict != "promote"
    assert judge(first_model(labels=shuffled, challenger=honest, chance=chance)).verdict != "promote"


def test_a_regression_is_judged_by_the_error_it_saves() -> None:
    rng = np.random.default_rng(6)
    minutes = 100 + 40 * TRUTH + np.repeat(rng.normal(0, 3, 7), 600)

    def off(size: float) -> np.ndarray:
        return 100 + 40 * TRUTH + rng.normal(0, size, 4200)

    better = duel(task="regression", labels=minutes, challenger=off(9), champion=off(12))
    verdict = judge(better)
    assert verdict.verdict == "promote"
    assert verdict.gates[2]["estimate"] == pytest.approx(1 - (81 + 9) / (144 + 9), abs=0.12)
    assert "squared error saved +" in verdict.sentence
    assert judge(replace(better, challenger=better.champion, champion=better.challenger)).verdict == "reject"
    cold = replace(better, champion=None, champion_train_until="", chance=100.0, baseline=off(30))
    assert judge(cold).verdict == "promote"
    assert judge(replace(cold, challenger=np.full(4200, 100.0))).verdict == "reject"
    perfect = judge(replace(better, champion=minutes))
    assert perfect.verdict == "reject"
    assert "makes no error at all" in perfect.sentence


def test_how_much_more_would_settle_it() -> None:
    open_question = Difference(estimate=0.01, error=0.005, clusters=7, df=6)
    more = more_clusters(open_question, 0.01, 0.002)
    assert more is not None
    total = 7 + more

    def bound(clusters: int) -> float:
        error = 0.005 * np.sqrt(7 / clusters)
        return Difference(0.01, error, clusters, clusters - 1).lower(0.01)

    assert bound(total) > 0 >= bound(total - 1)
    assert more_clusters(replace(open_question, estimate=0.002 - 1e-9), 0.01, 0.002) is None
    assert more_clusters(replace(open_question, error=1e6), 0.01, 0.002) is None
    # The error shrinks with the root: an estimate of t errors needs about (q / t)² times as much.
    near, far = (replace(open_question, error=0.01 / t, clusters=1000, df=999) for t in (0.24, 0.22))
    assert more_clusters(near, 0.01, 0.002) == pytest.approx(1000 * (2.326 / 0.24) ** 2 - 1000, rel=0.01)
    assert more_clusters(far, 0.01, 0.002) is None, "nobody waits for a hundred times as much"


def test_what_is_needed_is_said_in_rows_and_days() -> None:
    worse = duel(challenger=sees(0.72, 3))
    by_day = superiority(worse)
    assert by_day["passed"] is None
    assert by_day["more_rows"] == 600 * by_day["more_days"] == 600 * by_day["more_needed"]
    by_row = superiority(replace(worse, clusters=None, unit="rows", days=7, challenger=sees(0.702, 3)))
    assert by_row["more_rows"] == by_row["more_needed"]
    assert by_row["more_days"] == round(by_row["more_rows"] / 600)
    assert f"more labelled rows ({by_row['more_days']} days) would show it" in by_row["sentence"]
    assert f"; if the true gain is {by_row['estimate']:+.3f}, about " in by_row["sentence"], "it rests on the estimate"
    nobody_counted = superiority(replace(worse, clusters=None, unit="rows", challenger=sees(0.702, 3)))
    assert nobody_counted["sentence"].endswith(" more labelled rows would show it")
    people = np.arange(4200) // 20
    by_person = superiority(replace(worse, clusters=people, unit="clusters", challenger=sees(0.702, 3)))
    assert by_person["more_rows"] == 20 * by_person["more_needed"]
    assert f" ({by_person['more_needed']:,} clusters) would show it" in by_person["sentence"]


def test_what_no_realistic_number_of_rows_settles_is_said_with_how_wide_it_is() -> None:
    equal = superiority(duel(challenger=sees(0.7, 2), clusters=None, unit="rows", limits=Gates(min_improvement=0.0)))
    assert (equal["passed"], equal["more_needed"]) == (None, None)
    width = equal["upper"] - equal["lower"]
    assert f"the interval is {width:.3f} wide and has differences that matter" in equal["sentence"]
