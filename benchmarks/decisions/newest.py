"""The newest accepted batches and their sum, kept as batches come and go: to add 60 up for each takes long."""

from __future__ import annotations

from collections.abc import Sequence

from incumbent.features.profile import Profile, add, added


class Newest:
    """A window over profiles that knows its sum.

    What leaves cannot be subtracted, for bins become coarser and never finer. So the older half is kept as sums from
    each of its batches to its newest, and the younger half as one sum: a batch is added a few times, and not sixty.

    Args:
        most: Batches of the window.
        first: Those that are in it to begin with, oldest first.
    """

    def __init__(self, most: int, first: Sequence[Profile]) -> None:
        self.most = most
        self.each = list(first[-most:])
        self._older: list[Profile] = []  # the last one is the sum of all of the older half
        self._younger = added(self.each) if self.each else None

    def add(self, profile: Profile) -> None:
        """Let a batch in, and the oldest one out when there are too many."""
        self.each.append(profile)
        self._younger = profile if self._younger is None else add(self._younger, profile)
        if len(self.each) > self.most:
            if not self._older:
                self._age()
            self._older.pop()
            del self.each[0]

    def together(self) -> Profile | None:
        """Return the sum of all; None of nothing."""
        if not self._older or self._younger is None:
            return self._older[-1] if self._older else self._younger
        return add(self._older[-1], self._younger)

    def _age(self) -> None:
        for each in reversed(self.each):
            self._older.append(add(each, self._older[-1]) if self._older else each)
        self._younger = None
