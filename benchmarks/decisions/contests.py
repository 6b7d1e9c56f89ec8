"""Pairs of models on the same labelled rows, with a known difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from benchmarks.decisions.world import Codes, Floats

CHAMPION_AUC, POSITIVES = 0.80, 0.10


@dataclass(frozen=True)
class Pair:
    """Two models whose scores are right probabilities.

    Attributes:
        gain: AUC of the second above that of the first.
        correlation: Of their scores within a class.
        auc: AUC of the first.
        positives: Share of positive labels.
    """

    gain: float = 0.0
    correlation: float = 0.95
    auc: float = CHAMPION_AUC
    positives: float = POSITIVES

    def draw(
        self, rng: np.random.Generator, rows: int, others: int = 1, days: Codes | None = None, by_day: float = 0.0
    ) -> tuple[Floats, Floats, list[Floats]]:
        """Return labels, the first model's scores and those of one or several others.

        Args:
            rng: Randomness.
            rows: Number of rows.
            others: Number of others; all are equally good and differ from each other as from the first.
            days: Day of each row, when rows of a day share their luck.
            by_day: How much a model's separation of the classes differs from day to day.
        """
        labels = (rng.random(rows) < self.positives).astype(np.float64)
        shared = np.sqrt(self.correlation) * rng.standard_normal(rows)
        found = [
            self._scores(rng, labels, shared, self.auc + gain, days, by_day) for gain in (0.0, *[self.gain] * others)
        ]
        return labels, found[0], found[1:]

    def _scores(
        self, rng: np.random.Generator, labels: Floats, shared: Floats, auc: float, days: Codes | None, by_day: float
    ) -> Floats:
        apart = separation(auc)
        own = shared + np.sqrt(1 - self.correlation) * rng.standard_normal(labels.size)
        luck = 0.0 if days is None else by_day * rng.standard_normal(int(days.max()) + 1)[days]
        z = own + (apart + luck) * labels
        # Of two normal distributions that differ in their mean alone, this is the chance of the upper one.
        found: Floats = expit(apart * z - apart**2 / 2 + logit(self.positives))
        return found


def separation(auc: float) -> float:
    """Return how far the scores of the classes are apart, in standard deviations.

    >>> round(separation(0.8), 3)
    1.19
    """
    return float(np.sqrt(2) * norm.ppf(auc))
