"""The promise: equal challengers are hardly ever promoted, better ones mostly, noise never."""

from dataclasses import replace

import numpy as np
import pytest

from incumbent.config import Gates
from incumbent.evaluate import Contest, judge
from incumbent.stats import paired_auc_difference

pytestmark = pytest.mark.unit
DAYS, PER_DAY = 7, 250


def contest(rng: np.random.Generator, gain: float, luck: float) -> Contest:
    """Two contenders that each see one of two causes; a day's luck favours one of them at random."""
    return contests(rng, gain, luck)[0]


def contests(rng: np.random.Generator, gain: float, luck: float, sharing: int = 1) -> list[Contest]:
    """Return one for each of so many challengers, which see the same cause, each with an error of its own."""
    rows = DAYS * PER_DAY
    x, y, z = rng.normal(size=(3, rows))
    day = np.repeat(rng.normal(0, luck, DAYS), PER_DAY)
    logit = -1.2 + z + (0.7 + gain) * x + 0.7 * y + day * (x - y)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)

    def say(cause: np.ndarray, weight: float) -> np.ndarray:
        return 1 / (1 + np.exp(1.1 - 0.9 * z - 0.85 * weight * cause))

    one = Contest(
        task="binary",
        labels=labels,
        challenger=say(x, 0.7 + gain),
        champion=say(y, 0.7),
        clusters=np.repeat(np.arange(DAYS), PER_DAY),
        unit="days",
        train_rows=10_000,
        train_until="2013-01-24",
        champion_train_until="2013-01-24",
        gate_from="2013-01-25",
        limits=Gates(),
        sharing=sharing,
    )
    others = [say(x + rng.normal(0, 0.3, rows), 0.7 + gain) for _ in range(sharing - 1)]
    return [one, *(replace(one, challenger=other) for other in others)]


def test_equal_challengers_are_promoted_in_at_most_one_of_a_hundred_contests() -> None:
    rng = np.random.default_rng(2013)
    promoted = superior = naive = 0
    for _ in range(1200):
        one = contest(rng, gain=0.0, luck=0.6)
        verdict = judge(one)
        promoted += verdict.verdict == "promote"
        superior += verdict.gates[2]["passed"] is True
        iid = paired_auc_difference(one.labels, one.challenger, one.champion)
        naive += iid.lower(0.01) > 0 and iid.estimate >= one.limits.min_improvement
    assert naive / 1200 > 0.10, "the luck of the days must matter, or this proves nothing"
    assert promoted <= superior
    assert superior / 1200 <= 0.01


def test_nor_are_two_equal_challengers_of_one_request() -> None:
    """Of a degraded champion, whose rate is large enough for 1,200 contests to tell."""
    rng = np.random.default_rng(2014)
    shared = each = 0
    for _ in range(1200):
        both = [replace(one, degraded=True) for one in contests(rng, gain=0.0, luck=0.6, sharing=2)]
        shared += any(judge(one).gates[2]["passed"] is True for one in both)
        each += any(judge(replace(one, sharing=1)).gates[2]["passed"] is True for one in both)
    assert shared / 1200 <= 0.05
    assert shared < each, "sharing must matter, or this proves nothing"


def test_clearly_better_challengers_are_promoted_and_worse_ones_never() -> None:
    rng = np.random.default_rng(7)
    verdicts = [judge(contest(rng, gain=0.8, luck=0.1)).verdict for _ in range(60)]
    assert verdicts.count("promote") >= 45
    worse = [judge(contest(rng, gain=-0.5, luck=0.1)).verdict for _ in range(60)]
    assert "promote" not in worse
    assert worse.count("reject") >= 50
