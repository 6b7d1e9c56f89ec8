"""Leaks as they happen, planted in a table: each gives one more column."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Plant = Callable[[Floats, np.random.Generator], npt.NDArray[np.generic]]
GROUP_ROWS = 8
WINDOW_ROWS = 5
PRIOR_ROWS = 10


def copy(label: Floats, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """The label as yes and no; a number in another unit."""
    return np.where(label > 0.5, "yes", "no") if _binary(label) else label * 1.609 + 7


def noisy(label: Floats, rng: np.random.Generator, noise: float) -> Floats:
    """The label and noise, in distances of the two classes, or in standard deviations of a number."""
    scale = 1.0 if _binary(label) else label.std()
    return label + noise * scale * rng.normal(size=label.size)


def replaced(label: Floats, rng: np.random.Generator, share: float) -> Floats:
    """The label, but another one in a share of the rows."""
    other = 1 - label if _binary(label) else rng.permutation(label)
    return np.where(rng.random(label.size) < share, other, label)


def group_mean(label: Floats, rng: np.random.Generator) -> Floats:
    """The mean label of the row's customer, own row and later ones included."""
    return _means(label, rng.integers(0, max(label.size // GROUP_ROWS, 1), label.size))


def next_rows(label: Floats, rng: np.random.Generator) -> Floats:
    """The mean label of this row and the four after it."""
    padded = np.r_[label, np.full(WINDOW_ROWS - 1, label.mean())]
    return np.convolve(padded, np.full(WINDOW_ROWS, 1 / WINDOW_ROWS), "valid")


def id_sorted(label: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The row number of a file that was sorted by the label, then shuffled."""
    return _ranks(label + 1e-6 * rng.random(label.size))


def id_closed(label: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A number that was given when the case was closed: positives take half a year longer."""
    late = label if _binary(label) else _ranks(label) / label.size
    return 100_000 + _ranks(rng.random(label.size) + 0.5 * late)


def target_category(label: Floats, rng: np.random.Generator, prior: float = 0.0) -> Floats:
    """The mean label of a category of which some values are common and most are rare, own row included."""
    size = max(label.size // GROUP_ROWS, 5)
    common = 1 / np.arange(1, size + 1) ** 0.5
    return _means(label, rng.choice(size, label.size, p=common / common.sum()), prior)


def target_time(label: Floats, rng: np.random.Generator) -> Floats:
    """The day of the row, encoded by that day's mean label."""
    return _means(label, np.arange(label.size) // 20)


PLANTS: dict[str, Plant] = {
    "copy": copy,
    "noisy copy, sd 0.1": partial(noisy, noise=0.1),
    "noisy copy, sd 0.3": partial(noisy, noise=0.3),
    "noisy copy, sd 0.5": partial(noisy, noise=0.5),
    "copy, 2 % replaced": partial(replaced, share=0.02),
    "copy, 10 % replaced": partial(replaced, share=0.10),
    "future aggregate, group": group_mean,
    "future aggregate, rows": next_rows,
    "id, sorted": id_sorted,
    "id, when closed": id_closed,
    "target encoding": target_category,
    "target encoding, smoothed": partial(target_category, prior=PRIOR_ROWS),
    "target-encoded time": target_time,
}


def plant(rows: pd.DataFrame, kind: str, seed: int, name: str = "planted") -> pd.DataFrame:
    """Return the rows with one more column, that leaks."""
    rng = np.random.default_rng([seed, list(PLANTS).index(kind)])
    return rows.assign(**{name: PLANTS[kind](rows["label"].to_numpy(), rng)})


def _binary(label: Floats) -> bool:
    return bool(np.isin(label, (0.0, 1.0)).all())


def _means(label: Floats, codes: npt.NDArray[np.int64], prior: float = 0.0) -> Floats:
    counts, sums = np.bincount(codes), np.bincount(codes, weights=label)
    means: Floats = ((sums + prior * label.mean()) / np.maximum(counts + prior, 1))[codes]
    return means


def _ranks(values: Floats) -> npt.NDArray[np.int64]:
    return np.argsort(np.argsort(values)).astype(np.int64)
