"""Rows that are drawn by chance from all that was ever predicted and is kept: does the chain of each hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from incumbent.errors import StoreError
from incumbent.provenance.chain import Chain
from incumbent.provenance.recompute import RAW
from incumbent.provenance.rows import Stood, history, rows_at
from incumbent.provenance.why import Asked, Why
from incumbent.records import Part
from incumbent.store import Table
from incumbent.store.log import PARTITION
from incumbent.store.removals import kept

NO_GIT = "in no git"  # where code lay that no commit is recorded of


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Attributes:
        rows: Rows that were looked at, of how many that were drawn.
        contents: Contents that were, of how many.
    """

    rows: tuple[int, int]
    contents: tuple[int, int]


@dataclass(frozen=True)
class Verified:
    """What became of the rows that were drawn.

    Attributes:
        rows: How many there are.
        contents: Contents that they are of, of predictions that stand and of those that were replaced.
        partitions: Their partitions.
        generations: Generations that predicted them.
        from_raw: Rows that were predicted again from their raw file.
        from_batch: Rows that were predicted again from the batch, for the file is not there any more.
        not_again: Rows that cannot be predicted again, for something was taken away on purpose.
        largest: Largest difference from what is stored.
        broken: What is broken, to the rows that rest on it.
        by_generation: Generation to the rows that it predicted.
        replaced: Rows of contents that stand no more: restated, or scored again since.
        restated: Rows that were made of a batch that was corrected since.
        rolled_back: Rows by a version that lost its seat to a rollback.
        links: Kind of link to the rows that lead to it, by state; what is missing is `broken`. Of `code commit` whether
            one is on record.
    """

    rows: int
    contents: int
    partitions: tuple[str, ...]
    generations: tuple[int, ...]
    from_raw: int
    from_batch: int
    not_again: int
    largest: float
    broken: Mapping[str, int]
    by_generation: Mapping[int, int] = field(default_factory=dict)
    replaced: int = 0
    restated: int = 0
    rolled_back: int = 0
    links: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def verify(asked: Asked, rows: int, seed: int = 0, tell: Callable[[Progress], None] = lambda _: None) -> Verified:
    """Draw prediction rows, also of contents that were replaced since, and walk the chain of each.

    Every content that is kept gives as many rows as any other, for most are of the partitions that were never
    touched, and those that were restated or scored again are what is interesting.

    Args:
        asked: The model.
        rows: How many rows are drawn; all if there are fewer.
        seed: Seed of the draw.
        tell: Told how far it is, after each content.
    """
    contents = _kept(asked.chain.store.predictions)
    shares, generator = _shares([each.part.rows for each in contents], rows), np.random.default_rng(seed)
    found = _Found(asked.chain)
    for number, (stood, wanted) in enumerate(zip(contents, shares, strict=True), 1):
        places = np.sort(generator.choice(stood.part.rows, wanted, replace=False))
        try:
            drawn = rows_at(asked.chain.store, stood, places)
        except StoreError as error:
            found.broken[f"{stood.part.partition}, predictions: {error.what}: {error.where}"] += wanted
        else:
            for why in asked.rows(stood, drawn):
                found.add(why)
        tell(Progress((sum(shares[:number]), sum(shares)), (number, len(contents))))
    return found.verified(contents)


class _Found:
    """What the rows that were looked at add up to."""

    def __init__(self, chain: Chain) -> None:
        self.broken, self.starts = Counter[str](), Counter[str]()
        self.generations, self.links = Counter[int](), dict[str, Counter[str]]()
        self.count = self.replaced = self.restated = self.rolled_back = 0
        self.largest = 0.0
        self.barred = chain.store.barred()
        self.records, self.batches = chain.store.records, chain.store.batches(chain.model.batch_source)
        self.now = self.batches.parts()

    def add(self, why: Why) -> None:
        self.count += 1
        self.starts["none" if why.difference is None else why.start] += 1
        self.largest = max(self.largest, why.difference or 0.0)
        self.broken.update({f"{why.partition}, {link.name}: {link.found}" for link in why.broken})
        self.replaced += why.stood.until is not None
        if why.made is not None:
            self.generations[why.made.generation] += 1
            self.rolled_back += why.made.version in self.barred
            self.restated += self._is_restated(why.partition, why.made.batch_digest)
        for name, state in dict.fromkeys(_states(why)):  # in the order of the chain
            self.links.setdefault(name, Counter())[state] += 1

    def _is_restated(self, partition: str, digest: str) -> bool:
        left = kept(self.records, self.batches.name, Part(partition, digest, 0))  # an erasure is no correction
        return partition not in self.now or self.now[partition].digest != left.digest

    def verified(self, contents: list[Stood]) -> Verified:
        return Verified(
            rows=self.count,
            contents=len(contents),
            partitions=tuple(sorted({each.part.partition for each in contents})),
            generations=tuple(sorted(self.generations)),
            from_raw=self.starts[RAW],
            from_batch=self.count - self.starts[RAW] - self.starts["none"],
            not_again=self.starts["none"],
            largest=self.largest,
            broken=dict(self.broken.most_common()),
            by_generation=dict(sorted(self.generations.items())),
            replaced=self.replaced,
            restated=self.restated,
            rolled_back=self.rolled_back,
            links={name: dict(sorted(states.items())) for name, states in self.links.items()},
        )


def _states(why: Why) -> Iterator[tuple[str, str]]:
    """Yield each kind of link behind a row and its state; of several of one kind each state once."""
    for link in why.links:
        yield link.name.partition(" of ")[0], link.state
        if link.name == "version":
            yield "code commit", "recorded" if link.more.get("code", {}).get("commit") else NO_GIT


def _kept(table: Table) -> list[Stood]:
    """Return the contents of all partitions that were ever committed and have not been taken away."""
    found = [stood for partition in table.parts() for stood in history(table, partition)]
    unique = {(each.part.partition, each.part.digest): each for each in found}
    return [
        each
        for (partition, digest), each in unique.items()
        if each.part.rows and table.blobs.has(f"{PARTITION}={partition}/{digest}.parquet")
    ]


def _shares(sizes: list[int], wanted: int) -> list[int]:
    """Return how many rows each content gives: as many as any other, as far as it has them.

    >>> _shares([2, 100, 100], 10)
    [2, 4, 4]
    >>> _shares([2, 1], 10)
    [2, 1]
    """
    given = [0] * len(sizes)
    left = min(wanted, sum(sizes))
    while left:
        for place, size in enumerate(sizes):
            if left and given[place] < size:
                given[place] += 1
                left -= 1
    return given
