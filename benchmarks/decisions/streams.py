"""Streams of batches: the past that a champion was trained on, and what comes after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions.families import Batch, Family, seasonal
from benchmarks.decisions.world import World


@dataclass(frozen=True)
class Group:
    """Some good past batches, and batches that are judged against them.

    Attributes:
        past: Good batches, oldest first.
        batches: What is judged.
        first: Number of the oldest past batch.
    """

    past: tuple[Batch, ...]
    batches: tuple[Batch, ...]
    first: int = 0


@dataclass(frozen=True)
class Cell:
    """Sizes of one cell of a table.

    Attributes:
        name: Its name.
        world: Columns and champion.
        past: Number of past batches.
        past_rows: Rows of each.
        rows: Rows of a judged batch; several, for batches of mixed sizes.
        usual: Family of the past batches.
        per_group: Judged batches for each past.
        in_turn: Whether these follow each other; else each one follows the past.
    """

    name: str
    world: World
    past: int
    past_rows: int
    rows: tuple[int, ...]
    usual: Family
    per_group: int = 50
    in_turn: bool = True


def groups(cell: Cell, family: Family, rng: np.random.Generator, batches: int) -> Iterator[Group]:
    """Yield groups with so many judged batches in all; each group has a past of its own.

    A past is drawn anew for every group because one unlucky reference is shared by all that is judged against it.
    """
    left = batches
    while left > 0:
        past = tuple(cell.usual.make(cell.world, rng, cell.past_rows, None) for _ in range(cell.past))
        count = min(left, cell.per_group)
        sizes = rng.choice(cell.rows, count)
        judged = tuple(
            family.make(cell.world, rng, int(rows), past[-1].rows if rows == cell.past_rows else None) for rows in sizes
        )
        yield Group(past, judged)
        left -= count


def seasonal_groups(
    world: World, period: int, past: int, rows: int, trend: float, rng: np.random.Generator, batches: int
) -> Iterator[Group]:
    """Yield some past batches and the season after them, as often as there are batches to judge."""
    left = batches
    while left > 0:
        count = min(left, period)
        start = int(rng.integers(period))
        made = [seasonal(period, start + at, trend).make(world, rng, rows, None) for at in range(past + count)]
        yield Group(tuple(made[:past]), tuple(made[past:]), start)
        left -= count


def ramp(
    cell: Cell, step: Callable[[int], Family], rng: np.random.Generator, length: int
) -> tuple[Sequence[Batch], list[Batch]]:
    """Return a past and a stream whose n-th batch is of the n-th family."""
    past = [cell.usual.make(cell.world, rng, cell.past_rows, None) for _ in range(cell.past)]
    return past, [step(at).make(cell.world, rng, cell.rows[0], None) for at in range(length)]
