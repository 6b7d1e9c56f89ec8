"""Contests with a known truth, for the tests of single gates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from incumbent.config import Gates
from incumbent.evaluate import Contest
from incumbent.evaluate.contest import Groups

Floats = npt.NDArray[np.float64]
POSITIVES = 0.1


def duel(rng: np.random.Generator, rows: int, gain: float = 0.0, **more: Any) -> Contest:
    """Return one of `duels`."""
    return duels(rng, rows, gain, **more)[0]


def duels(
    rng: np.random.Generator,
    rows: int,
    gain: float,
    correlation: float = 0.95,
    days: int = 0,
    luck: float = 0.0,
    sharing: int = 1,
) -> list[Contest]:
    """Return a contest for each of so many candidates: 10 % positives, champion AUC 0.80, calibrated scores.

    Args:
        rng: Draws the rows.
        rows: How many.
        gain: True AUC points above the champion.
        correlation: Of the scores of two contenders, within a class.
        days: Days that the rows are of; 0 for independent rows.
        luck: By how much a day favours one contender or the other, in standard deviations of a score.
        sharing: Candidates.
    """
    labels = (rng.random(rows) < POSITIVES).astype(float)
    day = np.arange(rows) * days // rows if days else None
    seen = rng.normal(size=rows)

    def says(area: float) -> Floats:
        apart = np.sqrt(2) * norm.ppf(area)
        favour = 0.0 if day is None else rng.normal(0, luck, days)[day]
        margin = (apart + favour) * labels
        margin += np.sqrt(correlation) * seen + np.sqrt(1 - correlation) * rng.normal(size=rows)
        odds = np.log(POSITIVES / (1 - POSITIVES)) + apart * margin - apart**2 / 2
        return np.asarray(1 / (1 + np.exp(-odds)))

    one = Contest(
        task="binary",
        labels=labels,
        challenger=np.empty(0),
        champion=says(0.80),
        clusters=day,
        unit="days" if days else "rows",
        train_rows=10_000,
        train_until="2013-01-24",
        champion_train_until="2013-01-24",
        gate_from="2013-01-25",
        limits=Gates(),
        sharing=sharing,
    )
    return [replace(one, challenger=says(0.80 + gain)) for _ in range(sharing)]


def regression(rng: np.random.Generator, rows: int = 2000, days: int = 10, **changes: Any) -> Contest:
    """Return a contest of numbers around 100, with a candidate that misses by 9 and a champion that misses by 12."""
    labels = rng.normal(100, 30, rows)
    found = Contest(
        task="regression",
        labels=labels,
        challenger=labels + rng.normal(0, 9, rows),
        champion=labels + rng.normal(0, 12, rows),
        clusters=np.arange(rows) * days // rows,
        unit="days",
        train_rows=10_000,
        train_until="2013-01-24",
        champion_train_until="2013-01-24",
        gate_from="2013-01-25",
        limits=Gates(),
    )
    return replace(found, **changes)


def of_classes(rng: np.random.Generator, rows: int = 3000, days: int = 10, **changes: Any) -> Contest:
    """Return a contest of three classes, with a candidate that knows more than the champion."""
    margins = rng.normal(size=(rows, 3))
    labels = (margins + rng.gumbel(size=(rows, 3))).argmax(axis=1).astype(float)

    def says(share: float) -> Floats:
        powers = np.exp(share * margins)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    found = Contest(
        task="multiclass",
        labels=labels,
        challenger=says(0.95),
        champion=says(0.5),
        clusters=np.arange(rows) * days // rows,
        unit="days",
        train_rows=10_000,
        train_until="2013-01-24",
        champion_train_until="2013-01-24",
        gate_from="2013-01-25",
        limits=Gates(),
        classes=("a", "b", "c"),
    )
    return replace(found, **changes)


def groups(column: str, codes: npt.NDArray[np.int64], names: str = "abcdefghij", named: bool = False) -> Groups:
    """Return groups that are called by letters."""
    return Groups(column, codes, tuple(names[: int(codes.max()) + 1]), named)
