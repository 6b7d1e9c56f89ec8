"""What can happen to a batch, and what is right to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.world import Floats, Mood, Rows, World, wobble

ACCEPT, HOLD, RETRAIN = "accept", "hold", "retrain"
HARM_AUC, HARM_LOSS = 0.01, 0.02
TRUTH_ROWS = 60_000
KEY, AMOUNT = "x0", "a0"


@dataclass(frozen=True)
class Batch:
    """A batch as it is delivered, and the chance of each label as it is.

    Attributes:
        rows: What is delivered.
        chances: True chance of a positive label of each row, shape (n_rows,).
    """

    rows: Rows
    chances: Floats


Make = Callable[[World, np.random.Generator, int, Rows | None], Batch]


@dataclass(frozen=True)
class Family:
    """One kind of change.

    Attributes:
        name: Its name.
        make: Makes a batch from a world, randomness, a number of rows, and the batch before (None: drawn for it).
        right: What is right: `accept`, `hold` (the data is broken) or `retrain` (another world).
        drift: Whether the delivered columns are distributed otherwise.
    """

    name: str
    make: Make
    right: str
    drift: bool = True


@dataclass(frozen=True)
class Truth:
    """What a family does to the champion, on clean labels, against what the true chances would give on the same rows.

    A batch that is harder for every model harms nobody's champion, and so the difference to the best possible counts.

    Attributes:
        auc, loss: Change of the AUC, and of the log loss as a share of the best possible one.
        harmful: AUC worse by 0.01 or log loss by 2 %.
    """

    auc: float
    loss: float
    harmful: bool


def truth(world: World, family: Family, rng: np.random.Generator) -> Truth:
    """Return what a family does to the champion, from many rows and their true chances."""
    before = _quality(world, NOTHING.make(world, rng, TRUTH_ROWS, None))
    after = _quality(world, family.make(world, rng, TRUTH_ROWS, world.draw(rng, TRUTH_ROWS)))
    auc, loss = after[0] - before[0], after[1] - before[1]
    return Truth(auc, loss, auc <= -HARM_AUC or loss >= HARM_LOSS)


def _quality(world: World, batch: Batch) -> tuple[float, float]:
    scores, chances = world.scores(batch.rows), batch.chances
    auc = expected_auc(chances, scores) - expected_auc(chances, chances)
    return auc, expected_loss(chances, scores) / expected_loss(chances, chances)


def expected_auc(chances: Floats, scores: Floats) -> float:
    """Return the AUC over all labels that could have been drawn, weighted by their chance.

    >>> round(expected_auc(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.3])), 3)
    0.75
    """
    values, at = np.unique(scores, return_inverse=True)
    positive = np.bincount(at, chances, len(values))
    negative = np.bincount(at, 1 - chances, len(values))
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))


def expected_loss(chances: Floats, scores: Floats) -> float:
    """Return the log loss over all labels that could have been drawn."""
    p = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-(chances * np.log(p) + (1 - chances) * np.log1p(-p)).mean())


def _plain(world: World, rng: np.random.Generator, count: int, past: Rows | None, mood: Mood | None = None) -> Batch:
    rows = world.draw(rng, count, mood)
    return Batch(rows, expit(world.logits(rows)))


NOTHING = Family("no change", _plain, ACCEPT, drift=False)


def shifted(name: str, shifts: Callable[[World], Mapping[str, float]], right: str = ACCEPT) -> Family:
    """Return a family in which columns move and the label follows them as before."""
    return Family(name, lambda w, rng, n, past: _plain(w, rng, n, past, Mood(shifts(w))), right)


def broken(name: str, breaks: Callable[[World, np.random.Generator, Rows], Rows]) -> Family:
    """Return a family in which the true rows are as ever and the delivered ones are broken."""

    def make(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
        clean = _plain(world, rng, count, past)
        return replace(clean, rows=breaks(world, rng, clean.rows))

    return Family(name, make, HOLD)


def another_world(name: str, logits: Callable[[World, Rows], Floats], drift: bool = False) -> Family:
    """Return a family in which the columns are as ever and the label follows from them otherwise."""

    def make(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
        rows = world.draw(rng, count)
        return Batch(rows, expit(logits(world, rows)))

    return Family(name, make, RETRAIN, drift)


def wobbling(size: float, shift: float = 0.0) -> Family:
    """Return batches that each have a small effect of their own, and maybe a shift of the key column beside it."""

    def make(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
        mood = wobble(world, rng, size)
        moved = {**mood.shifts, KEY: mood.shifts.get(KEY, 0.0) + shift}
        return _plain(world, rng, count, past, replace(mood, shifts=moved))

    return Family(f"wobble {size:.3g}" + (f" and {shift:+.2g} sd" if shift else ""), make, ACCEPT, drift=bool(shift))


def seasonal(period: int, at: int, trend: float = 0.0) -> Family:
    """Return batch number `at` of a stream in which five unused columns follow a season, and maybe a trend."""
    size = 0.3 * np.sin(2 * np.pi * at / period) + trend * at
    return shifted(f"season of {period}", lambda w: dict.fromkeys(w.unused[:5], float(size)))


def units(factor: float, share: float, column: str = AMOUNT) -> Family:
    """Return a family in which a share of the rows of an amount is in another unit."""

    def breaks(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
        values = rows.numbers[column]
        return rows.with_numbers(**{column: np.where(rng.random(rows.size) < share, values * factor, values)})

    return broken(f"units ×{factor:g}, {share:.0%} of rows", breaks)


def nulls(share: float, column: str = KEY) -> Family:
    """Return a family in which a share of a column's values is missing."""

    def breaks(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
        lost = rng.random(rows.size) < share
        return rows.with_numbers(**{column: np.where(lost, np.nan, rows.numbers[column])})

    return broken(f"nulls in {share:.0%} of a key column", breaks)


def unseen(share: float) -> Family:
    """Return a family in which a share of the rows has a level that was never seen."""

    def breaks(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
        codes = rows.levels["c0"]
        return rows.with_levels(c0=np.where(rng.random(rows.size) < share, world.levels["c0"] + 7, codes))

    return broken(f"unseen level, {share:.0%} of rows", breaks)


def label_shift(logit: float) -> Family:
    """Return a family with another base rate: rows of each class as ever, in other shares."""

    def make(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
        rows = world.draw(rng, 6 * count)
        p = expit(world.logits(rows))
        label = rng.random(rows.size) < p
        weights = np.where(label, np.exp(logit), 1.0)
        at = rng.choice(rows.size, count, p=weights / weights.sum())
        chosen = Rows({k: v[at] for k, v in rows.numbers.items()}, {k: v[at] for k, v in rows.levels.items()})
        return Batch(chosen, expit(world.logits(chosen) + logit))

    return Family(f"label shift {logit:+.2f} logits", make, RETRAIN)


def concept(turn: float, where: str = "") -> Family:
    """Return a family in which two weights turn towards each other's, everywhere or in one level of `c0`."""

    def logits(world: World, rows: Rows) -> Floats:
        x0, x1 = world.weights["x0"], world.weights["x1"]
        turned = {**world.weights, "x0": (1 - turn) * x0, "x1": x1 - turn * x0}
        changed = world.logits(rows, turned)
        return np.where(rows.levels["c0"] == 0, changed, world.logits(rows)) if where else changed

    return another_world(f"concept drift {turn:.2f}{where}", logits)


def correlated_only(size: float) -> Family:
    """Return a family in which two used columns come to go together, each distributed as ever."""

    def make(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
        rows = world.draw(rng, count)
        z = size * world.deviates(rows, "x0") + np.sqrt(1 - size**2) * world.deviates(rows, "x1")
        rows = rows.with_numbers(x1=world.value("x1", z))
        return Batch(rows, expit(world.logits(rows)))

    return Family(f"correlation {size:.2f} of two used columns", make, ACCEPT)


def _swapped(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
    return rows.with_numbers(x0=rows.numbers["a0"], a0=rows.numbers["x0"])


def _frozen(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
    return rows.with_numbers(x0=np.full(rows.size, rows.numbers["x0"][0]))


def _duplicated(world: World, rng: np.random.Generator, count: int, past: Rows | None) -> Batch:
    clean = _plain(world, rng, count, past)
    return clean if past is None else Batch(past, clean.chances[: past.size])


def fixed() -> list[Family]:
    """Return the families of the protocol."""
    return [
        NOTHING,
        shifted("unused column +0.5 sd", lambda w: {w.unused[0]: 0.5}),
        shifted("seasonal, 5 unused columns", lambda w: dict.fromkeys(w.unused[:5], 0.35)),
        shifted("all numbers +0.03 sd", lambda w: dict.fromkeys((*w.numbers, *w.amounts), 0.03)),
        shifted("key column +0.3 sd", lambda w: {KEY: 0.3}),
        correlated_only(0.6),
        label_shift(0.9),
        concept(0.8),
        concept(1.0, " in one slice"),
        *(units(factor, share) for factor in (10, 100, 1000) for share in (1.0, 0.2, 0.05)),
        *(nulls(share) for share in (0.05, 0.3, 1.0)),
        unseen(0.05),
        broken("numbers as text", lambda w, rng, rows: replace(rows, as_text=frozenset({KEY}))),
        broken("two columns swapped", _swapped),
        broken("frozen column", _frozen),
        Family("duplicated batch", _duplicated, HOLD, drift=False),
    ]


def held_out(draws: Draws) -> list[Family]:
    """Return families whose sizes only the commit decides, from stated ranges."""
    share, factor = draws.held_out("share", 0.05, 0.5), (10.0, 60.0, 100.0, 3600.0)
    chosen = factor[int(draws.held_out("factor", 0, 3.999))]
    up, down = draws.held_out("unused shift", 0.3, 1.0), draws.held_out("key shift", -0.25, -0.1)
    return [
        _renamed(shifted(f"an unused column {up:+.2f} sd", lambda w: {w.unused[-1]: up})),
        _renamed(shifted(f"key column {down:+.2f} sd", lambda w: {"x1": down})),
        _renamed(units(chosen, share)),
        _renamed(nulls(share, "x1")),
        _renamed(unseen(share)),
        _renamed(concept(draws.held_out("turn", 0.3, 1.0))),
    ]


def _renamed(family: Family) -> Family:
    return replace(family, name=f"held out: {family.name}")
