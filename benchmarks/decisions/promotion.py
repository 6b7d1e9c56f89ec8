"""Promotion: how often an equal challenger gets the seat, and a better one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.decisions import ours
from benchmarks.decisions.contests import Pair
from benchmarks.decisions.intervals import Rate, rate
from benchmarks.decisions.report import Table
from benchmarks.decisions.seeds import SEEDS, Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.harness import Figure, at_least, figure
from incumbent.stats import paired_auc_difference

CONTESTS = 3000
SEQUENCES = 600
SEQUENCE_BATCHES, SEQUENCE_ROWS = 5, 2000
OURS = "ours"
RULES = ("d > 0", "d > .01", "DeLong 5 %", OURS)


@dataclass(frozen=True)
class Duel:
    """One cell: how two models differ, on how many rows.

    Attributes:
        name: Its name.
        gain: AUC of the challenger above the champion's.
        correlation: Of their scores.
        rows: Gate rows.
        challengers: Equal ones, of which the best gets the seat.
        days: Days that the rows are of, when those of a day share their luck; 0 for independent rows.
        share: Of all contests that are drawn of this cell.
    """

    name: str
    gain: float
    correlation: float
    rows: int
    challengers: int = 1
    days: int = 0
    share: float = 1.0


def duels(commit: str) -> list[Duel]:
    """Return the cells of the protocol and held-out ones."""
    draws = Draws(commit, "promotion")
    found = [
        Duel(
            f"{gain:+.2f}, correlation {correlation}, {rows:,} rows",
            gain,
            correlation,
            rows,
            share=share if gain == 0.0 else share / 3,
        )
        for correlation in (0.95, 0.99)
        for rows, share in ((1000, 1.0), (2000, 1.0), (5000, 1.0), (10_000, 1.0), (20_000, 0.5))
        for gain in (0.0, 0.01, -0.01)
        if gain == 0.0 or rows != 2000
    ]
    correlation, rows = draws.held_out("correlation", 0.9, 0.995), round(draws.held_out("rows", 1000, 20_000))
    found += [Duel("best of 10 equal, 5,000 rows", 0.0, 0.95, 5000, challengers=10, share=0.3)]
    found += [
        Duel(f"equal, rows share {days} days' luck, 10,000 rows", 0.0, 0.95, 10_000, days=days) for days in (7, 30)
    ]
    found += [Duel(f"equal (held out), correlation {correlation:.3f}, {rows:,} rows", 0.0, correlation, rows)]
    return found


def run_duel(commit: str, limit: int | None, task: tuple[int, int]) -> dict[str, list[bool]]:
    """Return which rules promote in each contest of one cell and seed."""
    at, seed = task
    duel = duels(commit)[at]
    count = max(1, scaled(int(duel.share * min(limit or CONTESTS, CONTESTS))) // SEEDS)
    rng = Draws(commit, duel.name).rng(seed)
    found: dict[str, list[bool]] = {rule: [] for rule in RULES}
    for _ in range(count):
        for rule, promoted in contest(rng, duel).items():
            found[rule].append(promoted)
    return found


def contest(rng: np.random.Generator, duel: Duel) -> dict[str, bool]:
    """Return which rules promote in one contest."""
    days = np.sort(rng.integers(duel.days, size=duel.rows)) if duel.days else None
    pair = Pair(duel.gain, duel.correlation)
    labels, champion, others = pair.draw(rng, duel.rows, duel.challengers, days, by_day=0.15)
    gains = [paired_auc_difference(labels, other, champion) for other in others]
    said = [
        ours.gate_verdict(labels, champion, other, clusters=days, sharing=duel.challengers) == "promote"
        for other in others
    ]
    return {
        "d > 0": any(gain.estimate > 0 for gain in gains),
        "d > .01": any(gain.estimate > 0.01 for gain in gains),
        "DeLong 5 %": any(gain.p < 0.05 for gain in gains),
        OURS: any(said),
    }


def promotions(commit: str, chosen: Sequence[int] | None = None, limit: int | None = None) -> list[dict[str, Rate]]:
    """Return how often each rule promotes, by cell."""
    cells = range(len(duels(commit))) if chosen is None else chosen
    tasks = [(at, seed) for at in cells for seed in range(SEEDS)]
    found = spread(partial(run_duel, commit, limit), tasks)
    return [
        {rule: rate([[each] for part in found[at : at + SEEDS] for each in part[rule]]) for rule in RULES}
        for at in range(0, len(found), SEEDS)
    ]


def sequence(commit: str, count: int, task: tuple[float, float, int]) -> list[int | None]:
    """Return after how many batches a challenger is promoted, in each of some sequences."""
    gain, correlation, seed = task
    rng = Draws(commit, f"sequence {gain} {correlation}").rng(seed)
    pair, found = Pair(gain, correlation), []
    for _ in range(count):
        drawn = [pair.draw(rng, SEQUENCE_ROWS) for _ in range(SEQUENCE_BATCHES)]
        found.append(ours.promoted_after([(labels, first, others[0]) for labels, first, others in drawn]))
    return found


def sequences(commit: str) -> dict[tuple[float, float], Rate]:
    """Return how often a challenger gets the seat within five batches, by gain and correlation."""
    cells = [(gain, correlation) for gain in (0.0, 0.01, -0.01) for correlation in (0.95, 0.99)]
    tasks = [(*cell, seed) for cell in cells for seed in range(SEEDS)]
    found = spread(partial(sequence, commit, scaled(SEQUENCES) // SEEDS), tasks)
    return {
        cell: rate([[each is not None] for part in found[SEEDS * at : SEEDS * at + SEEDS] for each in part])
        for at, cell in enumerate(cells)
    }


def promotion_table(commit: str, found: Sequence[dict[str, Rate]]) -> Table:
    """Return how often each rule promotes."""
    rows = [
        [duel.name, *(each[rule].text(digits=3) for rule in RULES), f"{each[OURS].count:,}"]
        for duel, each in zip(duels(commit), found, strict=True)
    ]
    says = "Share of challengers that get the seat; 10 % positives, champion's AUC 0.80. Two numbers: 95 % interval."
    return Table("Promotion", says, ["difference of the AUC", *RULES, "N"], rows)


def sequence_table(found: dict[tuple[float, float], Rate]) -> Table:
    """Return how often a challenger gets the seat within five batches."""
    rows = [
        [f"{gain:+.2f}, correlation {c}", each.text(digits=3), str(each.count)] for (gain, c), each in found.items()
    ]
    says = f"Share of challengers promoted within {SEQUENCE_BATCHES} batches of {SEQUENCE_ROWS:,} rows."
    return Table("Promotion over several batches", says, ["difference of the AUC", OURS, "N"], rows)


def promotion_figures(
    commit: str, found: Sequence[dict[str, Rate]], over: dict[tuple[float, float], Rate]
) -> Iterator[Figure]:
    """Yield what was promised of promotions."""
    powers = {(0.95, 10_000): 0.94, (0.99, 10_000): 0.99}
    for duel, each in zip(duels(commit), found, strict=True):
        mine, name = each[OURS], f"promoted: {duel.name}"
        between = (mine.low, mine.high)
        if duel.gain > 0 and (duel.correlation, duel.rows) in powers:
            yield at_least(name, mine.share, "share", powers[duel.correlation, duel.rows], between)
        else:
            yield figure(name, mine.share, "share", None, between)
    # Promised of all such contests: cell by cell, a rate that is exactly as promised misses every second time.
    for name, chosen in pooled_duels(commit).items():
        mine = _pooled([found[at][OURS] for at in chosen])
        yield figure(f"promoted: {name}", mine.share, "share", 0.01, (mine.low, mine.high))
    for (gain, correlation), mine in over.items():
        name, between = f"promoted within 5 batches: {gain:+.2f}, correlation {correlation}", (mine.low, mine.high)
        if gain <= 0:
            yield figure(name, mine.share, "share", 0.01, between)
        else:
            yield at_least(name, mine.share, "share", 0.70 if correlation == 0.95 else 0.90, between)


def pooled_duels(commit: str) -> dict[str, list[int]]:
    """Return the positions of the cells that one promise is about."""
    found: dict[str, list[int]] = {}
    for at, duel in enumerate(duels(commit)):
        if duel.gain < 0:
            name = "worse challenger"
        elif duel.days:
            name = "equal challenger, rows correlated within days"
        else:
            name = "equal challenger" + (", best of 10" if duel.challengers > 1 else "")
        if duel.gain <= 0:
            found.setdefault(name, []).append(at)
    return found


def _pooled(rates: Sequence[Rate]) -> Rate:
    hits = [round(each.share * each.count) for each in rates]
    return rate([[at < hit] for each, hit in zip(rates, hits, strict=True) for at in range(each.count)])
