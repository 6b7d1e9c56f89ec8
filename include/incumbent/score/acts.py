"""Who may still write a partition's predictions: of attempts that overlap, the one that is meant to stand.

A task that was taken for dead can wake up hours later, when its partition was corrected or scored with another
generation. Each scoring that somebody asked for takes a number before it begins; what is committed is asked last,
in the same moment as the commit, whether a later one has begun, or other inputs are there.
"""

from __future__ import annotations

from dataclasses import dataclass

from incumbent.records import digest_of
from incumbent.store import ModelStore

ACTS = "score_acts"


@dataclass(frozen=True)
class Act:
    """A scoring of a partition that a run was asked for.

    Attributes:
        partition: Partition key.
        number: Its place in the order in which they began.
        run: Digest of the run that was asked.
        inputs: Digest of the inputs that it works on.
    """

    partition: str
    number: int
    run: str
    inputs: str


def begin(store: ModelStore, partition: str, run: str, inputs: str) -> Act:
    """Take the next number of a partition for a run, or find the one that the run has taken for these inputs."""
    mine = {"run": digest_of(run)[:16], "inputs": inputs}
    while True:
        taken = _taken(store, partition)
        for number, plain in taken.items():
            if plain == mine:
                return Act(partition, number, **mine)
        number = max(taken, default=0) + 1
        if store.records.claim(ACTS, _name(partition, number), mine) == mine:
            return Act(partition, number, **mine)


def is_last(store: ModelStore, act: Act) -> bool:
    """Return whether nobody has begun to score the partition on purpose since."""
    return max(_taken(store, act.partition)) == act.number


def _taken(store: ModelStore, partition: str) -> dict[int, dict[str, str]]:
    names = store.records.names(ACTS, f"{partition}/")
    return {int(name.rsplit("/", 1)[1]): store.records.get_plain(ACTS, name) for name in names}


def _name(partition: str, number: int) -> str:
    return f"{partition}/{number:06d}"
