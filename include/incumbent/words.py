"""Numbers as sentences of several stages say them."""

from __future__ import annotations


def better(value: float) -> str:
    """Return a difference in words: what is better by a negative number reads like the opposite of what it is.

    >>> better(0.0123), better(-0.0371)
    ('better by 0.0123', 'worse by 0.0371')
    """
    return f"{'worse' if value < 0 else 'better'} by {abs(value):.4f}"
