"""Names that count how often they are compared: a hundred columns forgive what ten thousand do not."""

from __future__ import annotations


class Compared(str):
    """A name."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__
