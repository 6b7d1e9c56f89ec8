"""Worlds with a known truth: columns, the chance of each row, and a champion that scores what is delivered.

The champion is logistic and right about the world it was made in. What is delivered may differ from what is true: the
label follows the true row, the score follows the delivered one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SCORE = "score"
LOCATIONS = (0.0, 50.0, 5.0)  # in standard deviations: a temperature in kelvin is far from 0
AMOUNT_LOG_MEAN, AMOUNT_LOG_SD = 3.0, 0.8
LEVELS = (5, 5, 20, 200)
BASE_RATE = 0.16


@dataclass(frozen=True)
class Rows:
    """The feature columns of a batch.

    Attributes:
        numbers: Number columns; NaN is null.
        levels: Codes of text columns; -1 is null.
        as_text: Number columns that are delivered as text.
    """

    numbers: Mapping[str, Floats]
    levels: Mapping[str, Codes]
    as_text: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(next(iter(self.numbers.values())))

    def with_numbers(self, **numbers: Floats) -> Rows:
        """Return these rows with other values in some number columns."""
        return replace(self, numbers={**self.numbers, **numbers})

    def with_levels(self, **levels: Codes) -> Rows:
        """Return these rows with other codes in some text columns."""
        return replace(self, levels={**self.levels, **levels})

    def table(self, scores: Floats | None = None) -> pa.Table:
        """Return the rows as they would be read from a store, with the scores where there are any."""
        columns: dict[str, pa.Array] = {}
        for name, values in self.numbers.items():
            known = pa.array(values, from_pandas=True)
            columns[name] = known.cast(pa.string()) if name in self.as_text else known
        for name, codes in self.levels.items():
            named = pa.array([f"v{code}" for code in range(int(codes.max(initial=0)) + 1)])
            indices = pa.array(codes, mask=codes < 0)
            columns[name] = pa.DictionaryArray.from_arrays(indices, named).cast(pa.string())
        if scores is not None:
            columns[SCORE] = pa.array(scores)
        return pa.table(columns)


@dataclass(frozen=True)
class Mood:
    """How one batch differs from the mean of all batches.

    Attributes:
        shifts: Column to a shift of its mean, in standard deviations.
        tilts: Text column to the logarithm of what each level's share is multiplied by.
    """

    shifts: Mapping[str, float] = field(default_factory=dict)
    tilts: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """Columns and how the label follows from them.

    Attributes:
        numbers: Names of normal columns.
        amounts: Names of positive, skewed columns.
        levels: Text column to its number of levels.
        weights: Number column to its weight, per standard deviation.
        level_weights: Weights of the levels of the text column `c0`.
        correlation: Between all number columns.
    """

    numbers: tuple[str, ...]
    amounts: tuple[str, ...]
    levels: Mapping[str, int]
    weights: Mapping[str, float]
    level_weights: tuple[float, ...]
    correlation: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """All feature columns."""
        return (*self.numbers, *self.amounts, *self.levels)

    @property
    def used(self) -> tuple[str, ...]:
        """Columns that the champion uses."""
        return (*self.weights, "c0")

    @property
    def unused(self) -> tuple[str, ...]:
        """Number columns that the champion does not use."""
        return tuple(name for name in (*self.numbers, *self.amounts) if name not in self.weights)

    @property
    def importance(self) -> dict[str, float]:
        """Each column's share of what moves the champion's logit."""
        size = {name: abs(weight) for name, weight in self.weights.items()}
        size["c0"] = float(np.sqrt(self.shares("c0") @ np.square(self.level_weights)))
        total = sum(size.values())
        return {name: size.get(name, 0.0) / total for name in self.names}

    def shares(self, name: str) -> Floats:
        """Return the usual share of each level of a text column: a few frequent ones, many rare ones."""
        weights = 1.0 / (1.0 + np.arange(self.levels[name]))
        found: Floats = weights / weights.sum()
        return found

    def draw(self, rng: np.random.Generator, count: int, mood: Mood | None = None) -> Rows:
        """Return rows of the world, in the mood of one batch."""
        mood = mood or Mood()
        names = (*self.numbers, *self.amounts)
        z = rng.standard_normal((len(names), count))
        if self.correlation:
            z *= np.sqrt(1 - self.correlation)
            z += np.sqrt(self.correlation) * rng.standard_normal(count)
        for at, name in enumerate(names):
            if name in mood.shifts:
                z[at] += mood.shifts[name]
        numbers = {name: self.value(name, z[at]) for at, name in enumerate(names)}
        levels = {}
        for name in self.levels:
            shares = self.shares(name) * np.exp(mood.tilts.get(name, 0.0))
            edges = np.cumsum(shares / shares.sum())
            edges[-1] = 1.0
            levels[name] = np.searchsorted(edges, rng.random(count), side="right").astype(np.int64)
        return Rows(numbers, levels)

    def value(self, name: str, z: Floats) -> Floats:
        """Return what a standard normal deviate is in a column's unit."""
        if name in self.amounts:
            return np.exp(AMOUNT_LOG_MEAN + AMOUNT_LOG_SD * z)
        return z + LOCATIONS[self.numbers.index(name) % len(LOCATIONS)]

    def deviates(self, rows: Rows, name: str) -> Floats:
        """Return a column in standard deviations from its mean; what is null or no amount counts as the mean."""
        values = rows.numbers[name]
        if name in self.amounts:
            z = (np.log(np.maximum(values, 1e-9)) - AMOUNT_LOG_MEAN) / AMOUNT_LOG_SD
        else:
            z = values - LOCATIONS[self.numbers.index(name) % len(LOCATIONS)]
        return np.where(np.isfinite(values), z, 0.0)

    def logits(self, rows: Rows, weights: Mapping[str, float] | None = None) -> Floats:
        """Return the logit of each row under the champion's weights, or under others."""
        used = self.weights if weights is None else weights
        total = np.full(rows.size, self.intercept)
        for name, weight in used.items():
            if name not in rows.as_text:  # a number that comes as text cannot be read
                total += weight * self.deviates(rows, name)
        codes = rows.levels["c0"]
        known = (codes >= 0) & (codes < len(self.level_weights))
        total += np.where(known, np.asarray(self.level_weights)[np.clip(codes, 0, len(self.level_weights) - 1)], 0.0)
        return total

    def scores(self, rows: Rows) -> Floats:
        """Return what the champion says of delivered rows."""
        found: Floats = expit(self.logits(rows))
        return found

    @cached_property
    def intercept(self) -> float:
        """What makes the base rate."""
        rng = np.random.default_rng(0)
        spread = float(np.sqrt(sum(weight**2 for weight in self.weights.values())))
        codes = rng.choice(len(self.level_weights), 50_000, p=self.shares("c0"))
        logits = spread * rng.standard_normal(50_000) + np.asarray(self.level_weights)[codes]
        low, high = -10.0, 10.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if expit(logits + middle).mean() < BASE_RATE else (low, middle)
        return low


def make_world(columns: int, correlation: float = 0.0) -> World:
    """Return a world of so many columns, of which the champion uses four.

    >>> [len(make_world(count).names) for count in (5, 20, 200)]
    [5, 20, 200]
    """
    texts = max(1, columns // 5)
    amounts = max(1, columns // 7)
    numbers = tuple(f"x{at}" for at in range(columns - texts - amounts))
    return World(
        numbers=numbers,
        amounts=tuple(f"a{at}" for at in range(amounts)),
        levels={f"c{at}": LEVELS[at % len(LEVELS)] for at in range(texts)},
        weights={"x0": 0.9, "x1": 0.6, "a0": 0.7},
        level_weights=(-0.5, 0.2, 0.5, 0.9, -0.2),
        correlation=correlation,
    )


def wobble(world: World, rng: np.random.Generator, size: float) -> Mood:
    """Return the mood of a batch whose columns each have a small effect of their own."""
    if not size:
        return Mood()
    shifts = {name: float(size * rng.standard_normal()) for name in (*world.numbers, *world.amounts)}
    return Mood(shifts, {name: size * rng.standard_normal(count) for name, count in world.levels.items()})
