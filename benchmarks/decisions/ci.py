"""Eight small cells with gates that hold on every change: fixed draws, so that a failure is a change of a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.decisions import promotion, rollback
from benchmarks.decisions.families import NOTHING, Family, broken, nulls, units, wobbling
from benchmarks.decisions.intervals import rate
from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.streams import Cell, groups
from benchmarks.decisions.votes import ANY, HELD, votes
from benchmarks.decisions.world import make_world
from benchmarks.harness import Figure, at_least, figure

COMMIT = "the subset of continuous integration"  # fixed: what changes is the code alone
COLUMNS = 8


FAULTS = (
    units(100, 1.0),
    units(1000, 0.2),
    nulls(0.3),
    broken("numbers as text", lambda world, rng, rows: replace(rows, as_text=frozenset({"x0"}))),
)


def alike() -> Figure:
    """Return the false alarms among batches of one world."""
    return figure("false alarms, one world", 1000 * _alarms(NOTHING, past=8, batches=200), "/1000", 10.0)


def wobble() -> Figure:
    """Return the false alarms among batches that differ by themselves."""
    return figure("false alarms, wobble", 1000 * _alarms(wobbling(0.08), past=20, batches=100), "/1000", 20.0)


def faults() -> Figure:
    """Return how often the fault is held that is held least."""
    cell = Cell("faults", make_world(COLUMNS), 8, 1000, (1000,), NOTHING, in_turn=False)
    shares = []
    for family in FAULTS:
        found = votes(cell.world, groups(cell, family, Draws(COMMIT, family.name).rng(0), 20), in_turn=False)
        shares.append(rate(found[HELD]).share)
    return at_least("faults held", min(shares), "share", 0.95)


def promoted(gain: float) -> Figure:
    """Return how often a challenger gets the seat that is equal or worse."""
    duel = promotion.Duel(f"{gain}", gain, 0.95, 5000)
    rng = Draws(COMMIT, f"promotion {gain}").rng(0)
    said = [promotion.contest(rng, duel)[promotion.OURS] for _ in range(200)]
    return figure(f"promoted, {gain:+.2f}", sum(said) / len(said), "share", 0.02)


def found_better() -> Figure:
    """Return how often a better challenger gets the seat."""
    duel = promotion.Duel("better", 0.01, 0.99, 10_000)
    rng = Draws(COMMIT, "promotion of a better one").rng(0)
    said = [promotion.contest(rng, duel)[promotion.OURS] for _ in range(50)]
    return at_least("promoted, +0.01", sum(said) / len(said), "share", 0.95)


def rolled_back(gain: float) -> Figure:
    """Return how often a promotion is taken back: wrongly of an equal model, rightly of a worse one."""
    rng = Draws(COMMIT, f"rollback {gain}").rng(0)
    after = rollback.After(f"{gain}", gain, harder=0.03 if gain == 0 else 0.0)
    firsts = [rollback.said_after(after, rng)[rollback.OURS] for _ in range(100 if gain == 0 else 40)]
    share = rollback.taken_back(firsts).share
    if gain == 0:
        return figure("wrong rollback", share, "share", 0.02)
    return at_least(f"rolled back, {gain:+.2f}", share, "share", 0.99)


CELLS: Mapping[str, Callable[[], Figure]] = {
    "one world": alike,
    "wobble": wobble,
    "faults": faults,
    "equal challenger": lambda: promoted(0.0),
    "worse challenger": lambda: promoted(-0.01),
    "better challenger": found_better,
    "wrong rollback": lambda: rolled_back(0.0),
    "right rollback": lambda: rolled_back(-0.03),
}


def _alarms(family: Family, past: int, batches: int) -> float:
    cell = Cell(family.name, make_world(COLUMNS), past, 1000, (1000,), family, per_group=25)
    return rate(votes(cell.world, groups(cell, family, Draws(COMMIT, family.name).rng(0), batches))[ANY]).share
