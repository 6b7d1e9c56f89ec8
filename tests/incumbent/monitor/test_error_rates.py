"""Simulated batches: how often a verdict is wrong, and how often it finds what is there. Seeded.

The same simulation with more streams gives the figures of docs/drift.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Monitor
from incumbent.features.profile import Profile, profile
from incumbent.monitor import Judged, drift_verdict, reference_of

pytestmark = pytest.mark.unit

FEATURES = 10
IMPORTANCE = {"f0": 0.5, **{f"f{at}": 0.5 / (FEATURES - 1) for at in range(1, FEATURES)}}
WEIGHTS = np.sqrt(np.array(list(IMPORTANCE.values())))
LATER = 24
SETTINGS = Monitor()
Shift = Callable[[int], float]


def rows(random: np.random.Generator, number: int, means: np.ndarray, score: bool) -> Profile:
    """Return a batch: bell curves with means of its own, and what a logistic champion says of them."""
    values = random.normal(size=(number, FEATURES)) + means
    margins = (values @ WEIGHTS - 1) if score else random.normal(size=number) - 1
    columns = {f"f{at}": values[:, at] for at in range(FEATURES)} | {"score": 1 / (1 + np.exp(-margins))}
    return profile(pa.table(columns), list(columns))


def tiers(
    seed: int, number: int, past: int, wobble: float, shift: Shift = lambda _: 0.0, later: int = LATER,
    past_rows: int = 0, score: bool = True,
) -> Iterator[tuple[str, int]]:  # fmt: skip
    """Yield tier and window of each batch of a stream, which is judged as MONITOR judges it."""
    random = np.random.default_rng(seed)
    known = reference_of(
        [rows(random, past_rows or number, wobble * random.normal(size=FEATURES), score) for _ in range(past)]
    )
    judged: list[Judged] = []
    for at in range(later):
        means = wobble * random.normal(size=FEATURES)
        means[0] += shift(at)
        found = rows(random, number, means, score)
        key = f"{at:04d}"
        verdict = drift_verdict(key, 1, "v", found, known, IMPORTANCE, SETTINGS, later=judged)
        judged.append(Judged(key, verdict.tier, known.count(found)))
        yield verdict.tier, verdict.window


def alarms(streams: int, **world: object) -> tuple[int, int]:
    """Return how many batches of some streams had a tier above `info`, and how many there were."""
    found = Counter(tier for seed in range(streams) for tier, _ in tiers(1000 + seed, **world))  # type: ignore[arg-type]
    return found.total() - found["none"] - found["info"], found.total()


def power(streams: int, **world: object) -> float:
    """Return the share of first batches that are found when the feature that matters most has moved by 0.4 sd."""
    shifted = {"shift": lambda _: 0.4, "later": 1, **world}
    return float(np.mean([next(tiers(7000 + seed, **shifted))[0] != "none" for seed in range(streams)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("world", "most"),
    [
        ({"number": 50, "past": 1, "past_rows": 1000, "wobble": 0.0}, 2),
        ({"number": 50, "past": 20, "wobble": 0.0}, 2),
        ({"number": 1000, "past": 1, "wobble": 0.0}, 1),
        ({"number": 20_000, "past": 1, "past_rows": 1000, "wobble": 0.0, "later": 4}, 1),
        ({"number": 2000, "past": 40, "wobble": 0.08}, 2),
        ({"number": 2000, "past": 10, "wobble": 0.15}, 4),
    ],
    ids=["50 rows", "50 rows, 20 batches", "1000 rows", "20000 rows, 1000 before", "wobble 0.08", "wobble 0.15"],
)
def test_false_alarms_stay_rare(world: dict[str, float], most: int) -> None:
    """Of some 150 batches; several in a hundred would show."""
    found, of = alarms(6, **world)
    assert found <= most, (found, of)


def test_a_change_is_found_that_good_batches_do_not_show() -> None:
    world = {"number": 2000, "past": 40, "wobble": 0.08}
    assert power(8, **world) >= 0.6
    ordinary = power(8, **{**world, "wobble": 0.25})
    assert ordinary <= 0.2, "where batches differ so much, 0.4 sd is nothing"
