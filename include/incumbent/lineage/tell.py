"""Tell what was committed and was not told yet, once to each place; nobody's work waits for it or fails with it.

What was told is on record for each place: a commit whose event got lost, for a process was killed or the place was
away, is told by whoever looks next, and a new place is told everything.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from incumbent.lineage.committed import KINDS, Commit, Committed, mark
from incumbent.lineage.transport import REFUSED, NotTold, Transport

LOG = logging.getLogger(__name__)
KIND = "lineage"
MOST_REFUSED = 3  # an event that is refused keeps the others back only if they are refused too


@dataclass(frozen=True)
class Told:
    """What was told.

    Attributes:
        told: Commits that were told now.
        left: Commits that are still to be told.
        why: Why some were not, as a code and what was found; empty if there was no such thing.
    """

    told: int
    left: int
    why: str = ""

    @property
    def message(self) -> str:
        """One sentence for a person."""
        left = f", {self.left} are left" if self.left else ""
        return f"{self.told} commits told{left}" + (f" ({self.why})" if self.why else "")


def tell(committed: Committed, transport: Transport, seconds: float, kinds: Collection[str] = KINDS) -> Told:
    """Tell what was not told yet, the oldest first, for so long at the most (and one timeout).

    Args:
        committed: What there is.
        transport: Where it is told.
        seconds: No event is begun later.
        kinds: What is looked into; see `Committed.commits`.
    """
    records, end = committed.store.records, time.monotonic() + seconds
    known = {name.rpartition("/")[2] for name in records.names(KIND, f"{transport.id}/")}
    waiting = committed.commits(known, kinds)
    told, refused, why = 0, 0, ""
    for commit in waiting:
        if time.monotonic() > end:
            break
        if (events := committed.events(commit)) is None:
            waiting = [each for each in waiting if each is not commit]
            continue
        try:
            if events:
                transport.tell(events)
        except NotTold as error:
            why, refused = str(error), refused + 1
            if error.reason != REFUSED or refused >= MOST_REFUSED:
                break
        else:
            remember(committed, transport, commit)
            told += 1
    if why:
        LOG.warning(
            "lineage: %s does not take every event (%s); incumbent.maintenance tells again", transport.name, why
        )
    return Told(told, len(waiting) - told, why)


def remember(committed: Committed, transport: Transport, commit: Commit) -> None:
    """Write down that a commit was told."""
    committed.store.records.claim(KIND, f"{transport.id}/{mark(commit.name)}", {"commit": commit.name})
