"""Numbers as a person reads them: thousands apart, and no more digits than the error carries."""

from __future__ import annotations

import math

FINE = 0.0005  # an error below it deserves a fourth digit


def count(number: int) -> str:
    """Return a count with its thousands apart.

    >>> count(6239)
    '6,239'
    """
    return f"{number:,}"


def about(number: float) -> str:
    """Return a count of which only the first two digits are meant.

    >>> about(6183.2), about(74), about(3)
    ('6,200', '74', '3')
    """
    digits = max(math.floor(math.log10(number)) - 1, 0) if number >= 1 else 0
    return count(round(number / 10**digits) * 10**digits)


def of(number: int, unit: str) -> str:
    """Return a count of something that is named in the plural.

    >>> of(1, "days"), of(1200, "rows")
    ('1 day', '1,200 rows')
    """
    return f"{count(number)} {unit.removesuffix('s') if number == 1 else unit}"


def figure(value: float, points: bool, error: float = 1.0, sign: bool = False) -> str:
    """Return a difference: AUC points with three digits or four, or a share in percent.

    Args:
        value: The difference.
        points: Whether it is in points; else a share.
        error: Its standard error.
        sign: Whether a plus is written.

    >>> figure(0.0041, True, 0.002, sign=True), figure(-0.00096, True, 0.0004), figure(0.0123, False)
    ('+0.004', '-0.0010', '1.23 %')
    """
    plus = "+" if sign else ""
    digits = 2 if not points else 4 if error < FINE else 3
    rounded = round(value if points else 100 * value, digits) or 0.0  # no minus before a zero
    return f"{rounded:{plus}.{digits}f}{'' if points else ' %'}"


def percent(share: float) -> str:
    """Return a share in percent, with no digits that say nothing.

    >>> percent(0.03), percent(0.955), percent(0.26)
    ('3 %', '95.5 %', '26 %')
    """
    return f"{100 * share:.3g} %"
