"""Rows that are drawn by chance from all that was ever predicted and is kept: does the chain of each hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from incumbent.errors import StoreError
from incumbent.provenance.recompute import RAW
from incumbent.provenance.rows import Stood, history
from incumbent.provenance.why import Asked
from incumbent.store import Table
from incumbent.store.log import PARTITION


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


def verify(asked: Asked, rows: int, seed: int = 0) -> Verified:
    """Draw prediction rows, also of contents that were replaced since, and walk the chain of each.

    Every content that is kept gives as many rows as any other, for most are of the partitions that were never
    touched, and those that were restated or scored again are what is interesting.

    Args:
        asked: The model.
        rows: How many rows are drawn; all if there are fewer.
        seed: Seed of the draw.
    """
    contents = _kept(asked.chain.store.predictions)
    generator, generations = np.random.default_rng(seed), set[int]()
    starts, broken, largest, count = Counter[str](), Counter[str](), 0.0, 0
    for stood, wanted in zip(contents, _shares([each.part.rows for each in contents], rows), strict=True):
        try:
            table = asked.chain.store.predictions.read_parts([stood.part]).drop_columns([PARTITION])
        except StoreError as error:
            broken[f"{stood.part.partition}, predictions: {error.what}: {error.where}"] += wanted
            continue
        chosen = np.sort(generator.choice(table.num_rows, wanted, replace=False))
        for why in asked.rows(stood, table.take(chosen)):
            count += 1
            generations.add(why.made.generation if why.made else 0)
            starts["none" if why.difference is None else why.start] += 1
            largest = max(largest, why.difference or 0.0)
            broken.update({f"{why.partition}, {link.name}: {link.found}" for link in why.broken})
    return Verified(
        rows=count,
        contents=len(contents),
        partitions=tuple(sorted({each.part.partition for each in contents})),
        generations=tuple(sorted(generations)),
        from_raw=starts[RAW],
        from_batch=count - starts[RAW] - starts["none"],
        not_again=starts["none"],
        largest=largest,
        broken=dict(broken.most_common()),
    )


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
