"""Counts of numbers in bins that are as fine as there is room for, and that add up exactly.

A number's bin is the front of its bits, in the order of the numbers: all of them while a column has few different
numbers, so that 20 and 21 are counted apart; fewer, one bit at a time, once there are more than `MAX_BINS`. Two bins
become one, never one and a half: whatever is added in whatever order, the bins are those of all numbers together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_BINS = 2048
SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)
LARGEST = np.int64(0x7FEF_FFFF_FFFF_FFFF)  # the code of the largest finite number
COARSEST = 63
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def _none() -> Codes:
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Bins:
    """Counts of numbers by bin.

    Arrays, because a batch is compared with the sum of 60 and its reference has up to 500 of them.

    Attributes:
        shift: Bits that a bin leaves out: 0 is one bin for each different number.
        codes: Numbers of the bins that are not empty, in order, shape (n_bins,).
        tallies: How many numbers each holds, shape (n_bins,).
    """

    shift: int = 0
    codes: Codes = field(default_factory=_none)
    tallies: Codes = field(default_factory=_none)

    def __eq__(self, other: object) -> bool:
        """Return whether the same numbers were counted in the same bins."""
        if not isinstance(other, Bins):
            return NotImplemented
        same = np.array_equal(self.codes, other.codes) and np.array_equal(self.tallies, other.tallies)
        return self.shift == other.shift and same

    def __hash__(self) -> int:
        """Return what equal counts have in common."""
        return hash((self.shift, self.codes.tobytes()))

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return int(self.tallies.sum())

    def lowest(self) -> Floats:
        """Return the smallest number that each bin may hold."""
        return numbers_of(self.codes << self.shift)

    def highest(self) -> Floats:
        """Return the largest number that each bin may hold."""
        first = self.codes << self.shift
        return numbers_of(np.minimum(first + ((np.int64(1) << self.shift) - 1), LARGEST))

    def middles(self) -> Floats:
        """Return the middle of each bin; the number itself where a bin holds one only."""
        return self.lowest() / 2 + self.highest() / 2

    def to_json(self) -> dict[str, Any]:
        """Return plain data for storage: of codes the first, then by how much each is larger than the one before."""
        codes = self.codes.tolist()  # two codes may be further apart than an int64
        steps = [after - before for before, after in zip((0, *codes), codes, strict=False)]
        return {"shift": self.shift, "codes": steps, "tallies": self.tallies.tolist()}

    @classmethod
    def from_json(cls, shift: int, codes: Sequence[int], tallies: Sequence[int]) -> Bins:
        """Rebuild stored bins."""
        return cls(shift, np.array(list(accumulate(codes)), np.int64), np.array(tallies, np.int64))


class BinCounting:
    """Counts numbers as they pass by.

    >>> counting = BinCounting()
    >>> counting.add(np.array([20.0, 21.0, 20.0]))
    >>> counting.bins().middles().tolist(), counting.bins().tallies.tolist()
    ([20.0, 21.0], [2, 1])
    """

    def __init__(self) -> None:
        self._shift = 0
        self._codes: Codes = np.empty(0, np.int64)
        self._tallies: Codes = np.empty(0, np.int64)

    def add(self, values: Floats) -> None:
        """Count some more finite numbers."""
        codes, tallies = np.unique(codes_of(values) >> self._shift, return_counts=True)
        self.put(codes, tallies, self._shift)

    def put(self, codes: Codes, tallies: Codes, shift: int) -> None:
        """Count what others have counted."""
        common = max(shift, self._shift)
        together = np.concatenate([self._codes >> (common - self._shift), codes >> (common - shift)])
        both = np.concatenate([self._tallies, tallies])
        order = np.argsort(together, kind="stable")
        codes, tallies = _joined(together[order], both[order])
        wider = _room(codes)
        self._codes, self._tallies = _joined(codes >> wider, tallies)
        self._shift = common + wider

    def bins(self) -> Bins:
        """Return what was counted so far."""
        return Bins(self._shift, self._codes, self._tallies)


def together(parts: Sequence[Bins]) -> Bins:
    """Return the bins of several counts together."""
    counting = BinCounting()
    filled = [part for part in parts if part.codes.size]
    if filled:
        shift = max(part.shift for part in filled)
        codes = np.concatenate([part.codes >> (shift - part.shift) for part in filled])
        counting.put(codes, np.concatenate([part.tallies for part in filled]), shift)
    return counting.bins()


def codes_of(values: Floats) -> Codes:
    """Return numbers as integers in the same order: a float's bits are, but for the sign."""
    bits = (values + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return bits ^ ((bits >> np.int64(63)) & SIGN)


def numbers_of(codes: Codes) -> Floats:
    """Return the numbers that have these codes."""
    clipped = np.clip(codes, -LARGEST - 1, LARGEST)
    return (clipped ^ ((clipped >> np.int64(63)) & SIGN)).view(np.float64)


def _joined(codes: Codes, tallies: Codes) -> tuple[Codes, Codes]:
    """Return each of some sorted codes once, with the sum of its tallies."""
    if not len(codes):
        return codes, tallies
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return codes[starts], np.add.reduceat(tallies, starts)


def _room(codes: Codes) -> int:
    """Return how many more bits sorted codes have to leave out until there are few enough."""
    least, most = 0, COARSEST
    while least < most:
        shift = (least + most) // 2
        shifted = codes >> np.int64(shift)
        if np.count_nonzero(shifted[1:] != shifted[:-1]) < MAX_BINS:
            most = shift
        else:
            least = shift + 1
    return least
