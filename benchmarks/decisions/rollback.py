"""Rollback: how often a promotion is taken back that was right, and how soon one that was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.decisions import ours
from benchmarks.decisions.contests import Pair
from benchmarks.decisions.intervals import Rate, bootstrap, rate
from benchmarks.decisions.report import NOTHING, Table
from benchmarks.decisions.seeds import SEEDS, Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.decisions.world import Floats
from benchmarks.harness import Figure, at_least, figure
from incumbent.stats import auc, paired_auc_difference

BATCHES, ROWS = 20, 2000
PROMOTIONS = 600
OURS = "ours"
RULES = ("AUC < base - .02", "twice in a row", "paired DeLong 5 %", OURS)
Judged = tuple[Floats, Floats, Floats]


@dataclass(frozen=True)
class After:
    """What follows a promotion.

    Attributes:
        name: Its name.
        gain: AUC of the new champion above that of the previous one.
        harder: How much the AUC of both falls with the promotion.
        correlation: Of their scores.
    """

    name: str
    gain: float
    harder: float = 0.0
    correlation: float = 0.95

    @property
    def wrong(self) -> bool:
        """Whether taking it back is wrong."""
        return self.gain >= 0


def worlds(commit: str) -> list[After]:
    """Return what follows promotions in the protocol, and held out."""
    draws = Draws(commit, "rollback")
    gain, harder = draws.held_out("gain", -0.03, -0.01), draws.held_out("harder", -0.04, 0.04)
    correlation = draws.held_out("correlation", 0.9, 0.99)
    return [
        After("equal, stable", 0.0),
        After("equal, harder world -.03", 0.0, 0.03),
        After("new +.01, harder world -.03", 0.01, 0.03),
        After("new -.01", -0.01),
        After("new -.03", -0.03),
        After("new -.03, easier world +.03", -0.03, -0.03),
        After(f"equal, world {-harder:+.3f} (held out)", 0.0, harder, correlation),
        After(
            f"new {gain:+.3f}, world {-harder:+.3f}, correlation {correlation:.3f} (held out)",
            gain,
            harder,
            correlation,
        ),
    ]


def probation(commit: str, task: tuple[int, int, int]) -> dict[str, list[int | None]]:
    """Return after how many batches each rule takes a promotion back, in each of some probations."""
    at, seed, count = task
    world = worlds(commit)[at]
    rng = Draws(commit, f"rollback {world.name}").rng(seed)
    found: dict[str, list[int | None]] = {rule: [] for rule in RULES}
    for _ in range(count):
        for rule, first in said_after(world, rng).items():
            found[rule].append(first)
    return found


def said_after(world: After, rng: np.random.Generator) -> dict[str, int | None]:
    """Return after how many batches each rule takes one promotion back."""
    base = Pair(world.gain, world.correlation)
    labels, _, others = base.draw(rng, 10_000)
    promised = auc(labels, others[0])
    pair = Pair(world.gain, world.correlation, base.auc - world.harder)
    judged = []
    for _ in range(BATCHES):
        labels, previous, others = pair.draw(rng, ROWS)
        judged.append((labels, previous, others[0]))
    return _said(judged, promised)


def _said(judged: Sequence[Judged], promised: float) -> dict[str, int | None]:
    fell = [auc(labels, new) < promised - 0.02 for labels, _, new in judged]
    worse = [paired_auc_difference(labels, previous, new).p < 0.05 for labels, previous, new in judged]
    twice = [at > 0 and fell[at] and fell[at - 1] for at in range(len(fell))]
    firsts = {rule: _first(said) for rule, said in zip(RULES, (fell, twice, worse), strict=False)}
    return {**firsts, OURS: ours.rolled_back_after(judged)}


def _first(said: Sequence[bool]) -> int | None:
    return said.index(True) + 1 if True in said else None


def probations(commit: str) -> list[dict[str, list[int | None]]]:
    """Return after how many batches each rule takes a promotion back, by world."""
    count = max(1, scaled(PROMOTIONS) // SEEDS)
    cells = range(len(worlds(commit)))
    found = spread(partial(probation, commit), [(at, seed, count) for at in cells for seed in range(SEEDS)])
    return [
        {rule: [each for part in found[SEEDS * at : SEEDS * at + SEEDS] for each in part[rule]] for rule in RULES}
        for at in cells
    ]


def taken_back(firsts: Sequence[int | None]) -> Rate:
    """Return how often a promotion is taken back."""
    return rate([[first is not None] for first in firsts])


def rollback_table(commit: str, found: Sequence[dict[str, list[int | None]]]) -> Table:
    """Return how often and when each rule takes a promotion back."""
    rows = [
        [world.name, *(_text(each[rule]) for rule in RULES), str(len(each[OURS]))]
        for world, each in zip(worlds(commit), found, strict=True)
    ]
    says = f"Share of promotions taken back within {BATCHES} batches of {ROWS:,} rows, and the median batch."
    return Table("Rollback", says, ["after the promotion", *RULES, "N"], rows)


def rollback_figures(commit: str, found: Sequence[dict[str, list[int | None]]]) -> Iterator[Figure]:
    """Yield what was promised of rollbacks."""
    for world, each in zip(worlds(commit), found, strict=True):
        share = taken_back(each[OURS])
        between = (share.low, share.high)
        if world.wrong:
            yield figure(f"wrong rollback: {world.name}", share.share, "share", 0.01, between)
        else:
            yield at_least(f"rolled back: {world.name}", share.share, "share", 0.99, between)
            waits = [float(first or 2 * BATCHES) for first in each[OURS]]
            median = float(np.median(waits))
            goal = 4.0 if world.gain <= -0.01 else None
            yield figure(f"rollback delay: {world.name}", median, "batches", goal, bootstrap(waits, "median"))


def _text(firsts: Sequence[int | None]) -> str:
    share = taken_back(firsts)
    known = [first for first in firsts if first is not None]
    return f"{share.text(digits=3)} at {np.median(known):.0f}" if known else f"{share.text(digits=3)} {NOTHING}"
