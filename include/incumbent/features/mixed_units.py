"""A part of a column's rows in another unit: a mixture that no change of all rows explains.

Ten times as much is nearly ordinary for one amount, and not for a twentieth of them at once. On a logarithmic scale
such rows are the usual ones a whole decade further on, so the batch is compared with mixtures of the two. A sale and
a richer clientele make some amounts bigger, too: the mixture has to explain the batch better than the usual rows
moved, stretched or with heavier tails do, better than any factor up to four, well by itself, and with a larger share
than past batches have shown. The likelihoods are of counts in twentieths of a decade: nothing is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from incumbent.features.bins import Bins, Floats, codes_of, numbers_of
from incumbent.features.profile import ColumnProfile
from incumbent.features.usual import usual_share
from incumbent.stats.shape import moved, p_value

STEPS = 20  # cells of a decade
POWERS = (1, -1, 2, -2, 3, -3)
OTHER_FACTORS = (4, 6, 8, 10, 12)  # in cells, up and down: 1.6 to 4, as other prices may be
MORE_FACTORS, SPREAD = (*OTHER_FACTORS, 14, 16), 1.25  # to 6.3, and factors that differ: so much wider
SHARES = np.array([0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9])
NEAR = np.linspace(-0.3, 0.3, 7)  # standard deviations that a sound part may have moved by
WIDEST, HALVINGS = (1.5, 0.4), 10  # first steps of the search for the change of all rows, two to each side
LINE = np.arange(-2, 3)
TAILS = (1.5, 2.0, 3.0, 4.0)  # stretches of a part: heavier tails
ODDS = 5.0  # log of 150 to 1
LEAST_SHARE = 0.01  # of such rows, more than is usual
TOLERANCE, BADLY = 0.02, 0.01  # effect that the mixture may leave unexplained, and the p-value that says it does
ENOUGH_BATCHES = 5  # to know what is usual
MANY_VALUES = 100  # 1, 10 and 100 are each other's tenfold, and no fault
START, ROUNDS = 0.05, 40  # of the estimate of a share
SPARE = 0.1  # rows in a cell in which there were none: such numbers may still come
NEVER = 1e-12  # share of a cell in which there is nothing
FAR = 5.0  # standard deviations beyond which all numbers become more frequent alike


@dataclass(frozen=True)
class Mixture:
    """Usual rows, and others in another unit.

    Attributes:
        power: Of ten: how many times as much the others are.
        sound: Shares of the cells among the usual rows, shape (n_cells,).
        other: The same of the others.
    """

    power: int
    sound: Floats
    other: Floats


def mixed_units(
    found: ColumnProfile, reference: ColumnProfile, past: Sequence[ColumnProfile]
) -> Iterator[dict[str, Any]]:
    """Yield that a share of a column's rows is in another unit.

    Says nothing of a column with negative or few different numbers, nor after few past batches; zeros are left out.

    Args:
        found: Profile of the batch's column.
        reference: All past batches together.
        past: Each of them.
    """
    filled = [each for each in past if each.values and not each.is_text]
    is_negative = (reference.low or 0.0) < 0 or (found.low or 0.0) < 0
    values = len(reference.bins.codes) - _first_positive(reference.bins)
    if is_negative or len(filled) < ENOUGH_BATCHES or values < MANY_VALUES:
        return
    cells = _Cells(reference)
    batch, before = cells.count(found), cells.count(reference)
    usual = (before + SPARE) / (before + SPARE).sum()
    if not _may_be_mixed(batch, usual):
        return
    near = np.array([_stretched(usual, move, 1.0) for move in NEAR])
    likelihood, mixture = _best(batch, near)
    if _is_another_factor(likelihood, batch, near):
        return
    share = float(_shares(batch[None], mixture)[0])
    expected = before.sum() * ((1 - share) * mixture.sound + share * mixture.other)
    if p_value(moved(expected, batch, len(batch)), TOLERANCE) < BADLY:
        return
    at_rest = Mixture(mixture.power, usual, _further(usual[None], STEPS * mixture.power)[0])
    limit = usual_share(_shares(np.array([cells.count(each) for each in filled]), at_rest).tolist()) + LEAST_SHARE
    gain = likelihood - _of_all_rows(batch, usual, near)  # last, for it takes longest
    if share >= limit and gain > 0:
        p = min(1.0, len(POWERS) * float(chi2.sf(2 * gain, 1)))
        says = f"{share:.1%} of the rows as if {_times(mixture.power)}, at most {limit:.1%} is ordinary"
        says += f" ({_place(cells, batch, usual, mixture.power > 0)}): probably another unit in these rows"
        yield {"test": "mixed_units", "expected": limit, "found": share, "p": p, "says": says}


class _Cells:
    """Cells on a logarithmic scale, with room for all factors on both sides; those at the ends hold what is beyond.

    Powers of ten lie in the middle of a cell, so that no rounding moves them.

    Args:
        reference: What they have to hold.
    """

    def __init__(self, reference: ColumnProfile) -> None:
        bins = reference.bins
        ends = numbers_of(bins.codes[[_first_positive(bins), -1]] << bins.shift)
        low, high = np.rint(STEPS * np.log10(ends))
        room = STEPS * max(POWERS)
        self.borders = 10.0 ** ((np.arange(low - room, high + room) + 0.5) / STEPS)

    def count(self, found: ColumnProfile) -> Floats:
        """Return how many positive numbers each cell holds, shape (n_cells,)."""
        bins = found.bins
        first = _first_positive(bins)
        at = np.searchsorted(bins.codes[first:], codes_of(self.borders) >> bins.shift)
        below = np.concatenate([[0.0], np.cumsum(bins.tallies[first:])])
        return np.diff(np.concatenate([[0.0], below[at], below[-1:]]))


def _first_positive(bins: Bins) -> int:
    return int(np.searchsorted(bins.codes, 0, side="right"))


def _standard(usual: Floats) -> tuple[float, Floats]:
    """Return the standard deviation in cells, and each cell in standard deviations from the mean."""
    at = np.arange(len(usual)) - usual @ np.arange(len(usual))
    deviation = max(1.0, float(np.sqrt(usual @ at**2)))
    return deviation, at / deviation


def _stretched(usual: Floats, move: float, stretch: float) -> Floats:
    """Return the shares when all rows are moved by some standard deviations and stretched about their median."""
    edges = np.arange(len(usual) + 1.0)
    below = np.concatenate([[0.0], np.cumsum(usual)])
    middle = np.interp(0.5, below, edges)
    from_edges = (edges - middle - move * _standard(usual)[0]) / stretch + middle
    return _normal(np.diff(np.interp(from_edges, edges, below)))


def _tilted(usual: Floats, slope: float, bend: float) -> Floats:
    """Return the shares when larger, or more extreme numbers become more frequent than they were, and others less."""
    at = np.clip(_standard(usual)[1], -FAR, FAR)
    return _normal(usual * np.exp(slope * at + bend * at**2))


def _normal(shares: Floats) -> Floats:
    normal: Floats = (shares + NEVER) / (shares + NEVER).sum()
    return normal


def _further(shares: Floats, cells: int) -> Floats:
    """Return shares, shape (n_rows, n_cells), some cells further on."""
    out = np.full_like(shares, NEVER)
    if cells > 0:
        out[:, cells:] += shares[:, :-cells]
    else:
        out[:, :cells] += shares[:, -cells:]
    return out


def _likelihoods(batch: Floats, sound: Floats, other: Floats, shares: Floats = SHARES) -> Floats:
    """Return the log-likelihoods of mixtures, shape (n_shares, n_rows), of sound and other shares (n_rows, n_cells)."""
    seen = batch > 0
    part = shares[:, None, None]
    found: Floats = np.log((1 - part) * sound[:, seen] + part * other[:, seen]) @ batch[seen]
    return found


def _may_be_mixed(batch: Floats, usual: Floats) -> bool:
    """Return whether any mixture is much likelier than what is usual: of most columns it is not, and that is all."""
    others = np.concatenate([_further(usual[None], STEPS * power) for power in POWERS])
    return bool(_likelihoods(batch, usual[None], others, SHARES[1::3]).max() - batch @ np.log(usual) >= ODDS)


def _best(batch: Floats, near: Floats) -> tuple[float, Mixture]:
    """Return the likeliest mixture with a power of ten and its log-likelihood."""
    found = []
    for power in POWERS:
        other = _further(near, STEPS * power)
        likelihoods = _likelihoods(batch, near, other).max(axis=0)
        at = int(likelihoods.argmax())
        found.append((float(likelihoods[at]), Mixture(power, near[at], other[at])))
    return max(found, key=lambda each: each[0])


def _of_all_rows(batch: Floats, usual: Floats, near: Floats) -> float:
    """Return the largest log-likelihood of a batch of which no part has another unit."""
    tails = [_likelihoods(batch, near, np.array([_stretched(each, 0.0, tail) for each in near])) for tail in TAILS]
    moves = _climb(batch, lambda move, stretch: _stretched(usual, move, float(np.exp(stretch))))
    return max(float(np.max(tails)), moves, _climb(batch, lambda slope, bend: _tilted(usual, slope, bend)))


def _climb(batch: Floats, changed: Callable[[float, float], Floats]) -> float:
    """Return the largest log-likelihood of a batch under a change of two sizes, by a grid that halves its steps."""
    seen, best, steps = batch > 0, (-np.inf, 0.0, 0.0), WIDEST
    for _ in range(HALVINGS):
        _, first, second = best
        tried = [(first + at * steps[0], second + by * steps[1]) for at in LINE for by in LINE]
        found = np.log(np.array([changed(*sizes)[seen] for sizes in tried])) @ batch[seen]
        at = int(found.argmax())
        best = max(best, (float(found[at]), *tried[at]))
        steps = (steps[0] / 2, steps[1] / 2)
    return best[0]


def _is_another_factor(likelihood: float, batch: Floats, near: Floats) -> bool:
    """Return whether another factor may be what the batch has.

    Factors up to four have to be much less likely. Larger ones, and those that differ from row to row, must not be much
    likelier: in few rows they look like a power of ten, and in many they do not.
    """
    wider = np.array([_stretched(each, 0.0, SPREAD) for each in near])

    def best(of: Floats, factors: Sequence[int]) -> float:
        shifts = [*factors, *(-each for each in factors)]
        return max(float(_likelihoods(batch, near, _further(of, each)).max()) for each in shifts)

    if likelihood - best(near, OTHER_FACTORS) < ODDS:
        return True
    return max(best(near, MORE_FACTORS), best(wider, MORE_FACTORS)) - likelihood > ODDS


def _shares(counts: Floats, mixture: Mixture) -> Floats:
    """Return the likeliest share of the other unit's rows in each of some batches, shape (n_batches, n_cells)."""
    share = np.full((len(counts), 1), START)
    rows = np.maximum(1.0, counts.sum(axis=1, keepdims=True))
    for _ in range(ROUNDS):
        part = share * mixture.other / ((1 - share) * mixture.sound + share * mixture.other)
        share = (counts * part).sum(axis=1, keepdims=True) / rows
    found: Floats = share[:, 0]
    return found


def _times(power: int) -> str:
    return f"multiplied by {10**power:,}" if power > 0 else f"divided by {10**-power:,}"


def _place(cells: _Cells, batch: Floats, usual: Floats, up: bool) -> str:
    """Return beyond which number it is clearest that there are more rows than usual, and how many."""
    both = np.array([batch, usual * batch.sum()])
    found, ordinary = np.cumsum(both[:, ::-1], axis=1)[:, ::-1] if up else np.cumsum(both, axis=1)
    at = int(((found - ordinary) / np.sqrt(ordinary + 1)).argmax())
    values = f"{found[at]:,.0f} values {'above' if up else 'below'} {cells.borders[at - up]:.3g}"
    return f"{values} where {ordinary[at]:,.0f} are usual"
