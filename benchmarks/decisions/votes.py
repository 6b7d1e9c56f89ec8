"""What everybody says of the batches of a cell, counted by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmarks.decisions import ours, rules
from benchmarks.decisions.families import Batch
from benchmarks.decisions.streams import Group
from benchmarks.decisions.world import Rows, World
from incumbent.config import Model
from incumbent.features.profile import Profile

Votes = Mapping[str, Sequence[Sequence[bool]]]
ANY, ASKED, HELD, PAGED = "ours: any", "ours: retrain", "ours: held", "ours: page"


def votes(
    world: World, given: Iterable[Group], by_rules: int = 0, in_turn: bool = True, model: Model = ours.MODEL
) -> Votes:
    """Return what is said of each batch: by us of all, by the other rules of the first ones.

    Args:
        world: Columns and champion.
        given: Groups of batches.
        by_rules: Batches that the other rules judge as well; they are slow.
        in_turn: Whether the batches of a group follow each other; else each one follows the past.
        model: Settings, and the grain of the batches.
    """
    found: dict[str, list[list[bool]]] = defaultdict(list)
    for group in given:
        watch = ours.Watch([profile_of(world, batch) for batch in group.past], world.importance, model, group.first)
        alarms = [watch.alarm(profile_of(world, batch), remember=in_turn) for batch in group.batches]
        found[ANY].append([alarm.warned for alarm in alarms])
        found[ASKED].append([alarm.asked for alarm in alarms])
        found[HELD].append([alarm.held for alarm in alarms])
        found[PAGED].append([alarm.paged for alarm in alarms])
        if by_rules > 0:
            judged = group.batches[:by_rules]
            by_rules -= len(judged)
            reference = together([batch.rows for batch in group.past])
            said = [rules.decisions(reference, batch.rows) for batch in judged]
            for name in said[0]:
                found[name].append([each[name] for each in said])
    return found


def merged(several: Iterable[Votes]) -> Votes:
    """Return the votes of several runs as of one."""
    found: dict[str, list[Sequence[bool]]] = defaultdict(list)
    for votes_ in several:
        for name, groups in votes_.items():
            found[name].extend(groups)
    return found


def profile_of(world: World, batch: Batch) -> Profile:
    """Return the profile of a batch with the champion's scores of it."""
    return ours.profile_of(batch.rows.table(world.scores(batch.rows)))


def together(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several batches as of one."""
    return Rows(
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers},
        {name: np.concatenate([part.levels[name] for part in parts]) for name in parts[0].levels},
    )
