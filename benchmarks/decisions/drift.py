"""Drift and integrity: how often an alarm comes when nothing is wrong, and when something is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.decisions import ours
from benchmarks.decisions.families import (
    ACCEPT,
    HOLD,
    NOTHING,
    Family,
    Truth,
    fixed,
    held_out,
    shifted,
    truth,
    wobbling,
)
from benchmarks.decisions.intervals import Rate, rate
from benchmarks.decisions.report import NOTHING as EMPTY
from benchmarks.decisions.report import Table
from benchmarks.decisions.seeds import SEEDS, Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.decisions.streams import Cell, groups, ramp, seasonal_groups
from benchmarks.decisions.votes import ANY, ASKED, HELD, PAGED, Votes, merged, profile_of, votes
from benchmarks.decisions.world import World, make_world
from benchmarks.harness import Figure, at_least, figure

FALSE_ALARMS = 3000
BY_RULES = 150
FAULTS = 300
RAMPS = 30
SEASONS = {7: (28, ours.DAILY, 600), 24: (336, ours.HOURLY, 240), 168: (336, ours.HOURLY, 336)}
RULES = (
    "Evidently any column*",
    "Evidently dataset*",
    "p < .05 any column",
    "Alibi Bonferroni*",
    "SageMaker (emulated)",
    "Vertex (emulated)",
    "PSI > .2 any column",
)


@dataclass(frozen=True)
class Study:
    """A cell with what is drawn in it.

    Attributes:
        cell: Its sizes.
        family: What is judged.
        batches: How many, over all seeds.
    """

    cell: Cell
    family: Family
    batches: int = FALSE_ALARMS


def alike(commit: str) -> list[Study]:
    """Return the cells in which all batches are drawn from one world."""
    draws = Draws(commit, "alike")
    columns, rows = round(draws.held_out("columns", 6, 40)), round(draws.held_out("rows", 100, 5000))
    past = round(draws.held_out("past", 12, 40))
    world = make_world(20)

    def cell(past: int, past_rows: int, *rows: int, world: World = world, says: str = "") -> Cell:
        name = f"{past * past_rows:,} / {' and '.join(f'{each:,}' for each in rows)}{says}"
        return Cell(name, world, past, past_rows, rows, NOTHING)

    correlated = make_world(20, 0.5)
    return [
        Study(cell(10, 100, 100), NOTHING),
        Study(cell(1, 1000, 1000), NOTHING),
        Study(cell(40, 250, 50), NOTHING),
        Study(cell(40, 250, 100), NOTHING),
        Study(cell(10, 1000, 1000), NOTHING),
        Study(cell(20, 500, 50, 200, 1000, 5000), NOTHING),
        Study(cell(40, 2500, 1000), NOTHING),
        Study(cell(20, 5000, 10_000), NOTHING, FALSE_ALARMS // 2),
        Study(cell(10, 1000, 1000, world=make_world(5), says=", 5 columns"), NOTHING),
        Study(cell(10, 1000, 1000, world=make_world(200), says=", 200 columns"), NOTHING, FALSE_ALARMS // 10),
        Study(cell(10, 1000, 1000, world=correlated, says=", correlated"), NOTHING),
        Study(cell(10, 100_000, 1_000_000, world=make_world(5), says=", 5 columns"), NOTHING, 60),
        Study(cell(past, rows, rows, world=make_world(columns), says=f", {columns} columns (held out)"), NOTHING),
    ]


def wobbly(commit: str) -> list[Study]:
    """Return the cells in which every batch has a small effect of its own."""
    drawn = Draws(commit, "wobble").held_out("size", 0.03, 0.2)
    found = []
    for size in (0.0, 0.05, 0.08, 0.15, drawn):
        for past in (40, 10) if size >= 0.08 or size is drawn else (40,):
            name = f"wobble {size:.3g}, {past} past batches" + (" (held out)" if size is drawn else "")
            cell = Cell(name, make_world(10), past, 2000, (2000,), wobbling(size))
            apart = replace(cell, in_turn=False)
            found += [Study(cell, wobbling(size)), Study(apart, wobbling(size, 0.4), FALSE_ALARMS // 10)]
    return found


def faulty(commit: str) -> list[Study]:
    """Return a cell for each family, on one world."""
    cell = Cell("faults", make_world(20), 20, 2000, (2000,), NOTHING, per_group=10, in_turn=False)
    families = [*fixed(), *held_out(Draws(commit, "faults"))]
    return [Study(replace(cell, name=family.name), family, FAULTS) for family in families]


SECTIONS = {"alike": alike, "wobble": wobbly, "faults": faulty}


def run_study(commit: str, section: str, limit: int | None, task: tuple[int, int]) -> Votes:
    """Return the votes of one cell and seed; made anew from names, so that any process can."""
    at, seed = task
    study = SECTIONS[section](commit)[at]
    count = max(1, scaled(study.batches if limit is None else min(limit, study.batches)) // SEEDS)
    rng = Draws(commit, f"{section}: {study.cell.name}: {study.family.name}").rng(seed)
    by_rules = scaled(BY_RULES if section != "faults" else 30) // SEEDS
    if max(study.cell.rows) * len(study.cell.world.names) > 1_000_000:
        by_rules = 0
    return votes(study.cell.world, groups(study.cell, study.family, rng, count), by_rules, study.cell.in_turn)


def votes_of(commit: str, section: str, chosen: Sequence[int] | None = None, limit: int | None = None) -> list[Votes]:
    """Return the votes of a section's cells over all seeds.

    Args:
        commit: What the draws follow from.
        section: Of `SECTIONS`.
        chosen: Positions of its cells; None for all.
        limit: Most batches of a cell.
    """
    cells = range(len(SECTIONS[section](commit))) if chosen is None else chosen
    tasks = [(at, seed) for at in cells for seed in range(SEEDS)]
    found = spread(partial(run_study, commit, section, limit), tasks)
    return [merged(found[at : at + SEEDS]) for at in range(0, len(found), SEEDS)]


def alike_table(commit: str, found: Sequence[Votes]) -> Table:
    """Return false alarms among batches of one world."""
    rows = [
        [study.cell.name, *(_per_1000(each, name) for name in (ANY, PAGED, *RULES)), _count(each)]
        for study, each in zip(alike(commit), found, strict=True)
    ]
    says = (
        "False alarms per 1,000 batches with 95 % interval; rows of the past / of a batch; 20 independent columns "
        "where nothing else is said. Alarm of ours: anything that anybody is told of. * by the rule of its source."
    )
    return Table("Batches of one world", says, ["cell", "ours", "ours: page", *RULES, "N ours / rules"], rows)


def alike_figures(commit: str, found: Sequence[Votes]) -> Iterator[Figure]:
    """Yield the false alarms of every cell, and of all together."""
    for study, each in zip(alike(commit), found, strict=True):
        yield _alarms(f"false_alarms_{study.cell.name}", rate(each[ANY]), None)
    every = rate([group for each in found for group in each[ANY]])
    yield _alarms("false_alarms_iid", every, 2.0)
    yield figure("false_alarms_iid_upper_bound", 1000 * every.high, "/1000", 5.0)
    worst = max((rate(each[ANY]) for each in found), key=lambda each: each.share)
    yield _alarms("false_alarms_iid_worst_cell", worst, 2.0)


def wobble_table(commit: str, found: Sequence[Votes]) -> Table:
    """Return false alarms and power when batches differ by themselves."""
    studies, rows = wobbly(commit), []
    for at in range(0, len(studies), 2):
        quiet, moved = found[at], found[at + 1]
        power = [rate(moved[name]).text() for name in (ANY, "Alibi Bonferroni*")]
        cells = (_per_1000(quiet, name) for name in (ANY, PAGED, *RULES))
        rows.append([studies[at].cell.name, *cells, *power, _count(quiet)])
    head = ["cell", "ours", "ours: page", *RULES, "power at +.4 sd: ours", "power: Alibi", "N ours / rules"]
    says = "Every batch of 2,000 rows has an effect of its own on each of 10 columns. False alarms per 1,000 batches."
    return Table("Batches that differ by themselves", says, head, rows)


def wobble_figures(commit: str, found: Sequence[Votes]) -> Iterator[Figure]:
    """Yield false alarms with the goals of each number of past batches, and the power beside them."""
    for study, each in zip(wobbly(commit), found, strict=True):
        share = rate(each[ANY])
        if "sd" in study.family.name:
            yield figure(f"power_{study.cell.name}", share.share, "share", interval=(share.low, share.high))
        else:
            yield _alarms(f"false_alarms_{study.cell.name}", share, 5.0 if study.cell.past == 40 else 10.0)


def fault_table(commit: str, found: Sequence[Votes]) -> Table:
    """Return what is said of each family, beside what it does and what is right."""
    rows = []
    for study, each, does in zip(faulty(commit), found, truths(commit), strict=True):
        said = [rate(each[name]).text() for name in (ANY, ASKED, HELD, *RULES)]
        harm = f"{does.auc:+.3f} / {does.loss:+.3f}"
        rows.append([study.family.name, harm, study.family.right, *said, _count(each)])
    head = ["family", "AUC / log loss", "right", "ours: any", "ours: retrain", "ours: held", *RULES, "N ours / rules"]
    says = (
        "Share of batches of 2,000 rows flagged with 95 % interval, 20 past batches of 2,000, 20 columns of which the "
        "champion uses four. Change of the AUC and of the log loss is against the best possible on the same rows."
    )
    return Table("Changes and faults", says, head, rows)


def fault_figures(commit: str, found: Sequence[Votes]) -> Iterator[Figure]:
    """Yield how surely faults are held, and how often somebody is paged for what harms nobody."""
    benign: list[Sequence[bool]] = []
    shortfalls = []
    for study, each, does in zip(faulty(commit), found, truths(commit), strict=True):
        family = study.family
        if family.right == HOLD:
            share = rate(each[HELD])
            shortfalls.append(share.share)
            yield at_least(f"held: {family.name}", share.share, "share", 0.99, interval=(share.low, share.high))
        elif family.right == ACCEPT and not does.harmful:
            benign += each[PAGED]
            share = rate(each[PAGED])
            yield figure(f"paged: {family.name}", share.share, "share", 0.02, interval=(share.low, share.high))
    every = rate(benign)
    yield figure("pages_on_benign_shift", every.share, "share", 0.02, interval=(every.low, every.high))
    yield at_least("faults_held_all_families", float(np.mean(shortfalls)), "share", 0.99)


def truths(commit: str) -> list[Truth]:
    """Return what each family does."""
    return [truth(study.cell.world, study.family, np.random.default_rng(1)) for study in faulty(commit)]


def seasons(commit: str) -> Table:
    """Return false alarms when unused columns follow a season, and maybe a trend."""
    found = spread(partial(_season, commit), [(period, trend) for period in SEASONS for trend in (0.0, 0.002)])
    rows = [[name, *(_per_1000(each, rule) for rule in (ANY, PAGED)), _count(each)] for name, each in found]
    says = "Five unused columns follow a season of ±0.3 sd. Alarms per 1,000 batches of 1,000 rows."
    return Table("Seasons", says, ["cell", "ours: any", "ours: page", "N ours / rules"], rows)


def _season(commit: str, task: tuple[int, float]) -> tuple[str, Votes]:
    period, trend = task
    past, model, batches = SEASONS[period]
    name = f"season of {period}, {past} past batches by {model.grain}"
    name += f", trend {trend} sd a batch" if trend else ""
    world = make_world(10)
    given = seasonal_groups(world, period, past, 1000, trend, Draws(commit, name).rng(0), scaled(batches))
    return name, votes(world, given, model=model)


def ramps(commit: str) -> Table:
    """Return how many batches a slow change of a used column goes unseen."""
    cell = Cell("ramp", make_world(10), 40, 2000, (2000,), NOTHING)
    steps = (0.01, 0.03, Draws(commit, "ramp").held_out("step", 0.01, 0.05))
    rows = []
    for step in steps:
        firsts = spread(partial(_ramp, commit, cell.name, step), range(scaled(RAMPS)))
        known = [first for first in firsts if first is not None]
        median = f"{np.median(known):.0f}" if known else EMPTY
        rows.append([f"+{step:.3f} sd a batch", median, f"{len(known) / len(firsts):.2f}", str(len(firsts))])
    says = "First batch of 60 at which anybody is told of a key column that moves a little with each batch of 2,000."
    return Table("Slow changes", says, ["step", "median batch", "found", "N"], rows)


def _ramp(commit: str, name: str, step: float, seed: int) -> int | None:
    world = make_world(10)
    cell = Cell(name, world, 40, 2000, (2000,), NOTHING)
    rng = Draws(commit, f"ramp {step:.3f}").rng(seed)
    past, stream = ramp(cell, lambda at: shifted("ramp", lambda w: {"x0": step * at}), rng, 60)
    watch = ours.Watch([profile_of(world, batch) for batch in past], world.importance)
    for at, batch in enumerate(stream):
        if watch.alarm(profile_of(world, batch)).warned:
            return at
    return None


def _alarms(name: str, found: Rate, goal: float | None) -> Figure:
    return figure(name, 1000 * found.share, "/1000", goal, interval=(1000 * found.low, 1000 * found.high))


def _per_1000(found: Mapping[str, Sequence[Sequence[bool]]], name: str) -> str:
    return rate(found[name]).text(1000, 1) if name in found else EMPTY


def _count(found: Mapping[str, Sequence[Sequence[bool]]]) -> str:
    rules = rate(found[RULES[0]]).count if RULES[0] in found else 0
    return f"{rate(found[ANY]).count:,} / {rules:,}"
