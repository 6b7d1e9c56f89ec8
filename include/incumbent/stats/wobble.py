"""How much good batches differ by themselves: learned from past ones, within their season.

A window of k partitions is compared with what its seasons usually bring, and its ordinary effect is learned from past
windows of k: partitions that resemble their neighbours differ less among themselves than four of them from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from incumbent.stats.shape import Counts, Groups, Wobble, merged, statistic

PRIOR_FREEDOM = 4.0  # what is assumed of τ before any batch was seen weighs as much as four batches
Seasons = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Against:
    """What windows are compared with.

    Attributes:
        reference: Expected counts of each, shape (n_windows, n_cells); their sum is the size of the reference.
        shared: How much of one batch's own wobble the reference has: 1/n for n batches, shape (n_windows,).
    """

    reference: Counts
    shared: Counts


def against(past: Counts, past_seasons: Seasons, windows: Counts, seasons: Seasons, *, inside: bool) -> Against:
    """Return what windows are compared with: the past partitions of their seasons, in the windows' own proportions.

    Args:
        past: Counts of past partitions, shape (n_past, n_cells).
        past_seasons: Their seasons, shape (n_past,); all the same where seasons do not matter.
        windows: Counts of each partition of each window, shape (n_windows, k, n_cells).
        seasons: Their seasons, shape (n_windows, k).
        inside: Whether the windows are of the past themselves; then each is compared with the rest.
    """
    known, at = np.unique(past_seasons, return_inverse=True)
    sums = np.zeros((len(known) + 1, past.shape[1]))
    np.add.at(sums, at, past)
    numbers = np.append(np.bincount(at, minlength=len(known)), 0.0)
    place = np.searchsorted(known, seasons)
    place = np.where(np.append(known, 0)[place] == seasons, place, len(known))
    same = (seasons[:, :, None] == seasons[:, None, :]).astype(np.float64)
    pools, batches = sums[place], numbers[place]
    if inside:
        pools, batches = pools - same @ windows, batches - same.sum(axis=2)
    sizes, rows = pools.sum(axis=2), windows.sum(axis=2)
    weights = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(sizes[:, :, None] > 0, pools / sizes[:, :, None], 0.0)
        size = 1 / _blend(weights, same, 1 / sizes)
        shared = _blend(weights, same, 1 / batches)
    mixed = (weights[:, :, None] * shares).sum(axis=1)
    return Against(mixed * np.where(np.isfinite(size), size, 0.0)[:, None], shared)


def wobble_of(past: Counts, seasons: Seasons, groups: Groups, length: int, assumed: float) -> Wobble:
    """Return what past good partitions say of the ordinary effect of windows of some length.

    Args:
        past: Counts of past partitions in their order, shape (n_past, n_cells).
        seasons: Their seasons, shape (n_past,).
        groups: Cells that are counted as one, shape (n_cells,).
        length: Partitions of a window.
        assumed: Effect that is assumed to begin with.
    """
    rows = merged(past, groups)
    number = len(rows) // length
    if number < 2:
        return Wobble(assumed, PRIOR_FREEDOM)
    recent = slice(len(rows) - number * length, None)  # the oldest are left over
    windows = rows[recent].reshape(number, length, -1)
    found = against(rows, seasons, windows, seasons[recent].reshape(number, length), inside=True)
    own = windows.sum(axis=1)
    usable = (found.reference.sum(axis=1) > 0) & (own.sum(axis=1) > 0)
    if usable.sum() < 2:
        return Wobble(assumed, PRIOR_FREEDOM)
    x2, df, scale = statistic(found.reference[usable], own[usable])
    widened = 1 + length * found.shared[usable]
    learned = max(0.0, float((x2 - df).sum() / (scale * widened).sum()))
    freedom = float((1 / widened).mean() * scale.sum() ** 2 / (scale**2).sum())
    together = PRIOR_FREEDOM + freedom
    return Wobble((PRIOR_FREEDOM * assumed + freedom * learned) / together, together)


def _blend(weights: Counts, same: Counts, variance: Counts) -> Counts:
    """Return the variance of a weighted mean whose parts are one and the same within a season."""
    variance = np.where(np.isfinite(variance), variance, np.inf)
    total: Counts = np.einsum("wk,wkl,wl->w", weights, same, weights * variance)
    return total
