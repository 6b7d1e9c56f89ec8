"""Policies beside each other in the closed loop: what each costs, and what it saves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from benchmarks.decisions import rules
from benchmarks.decisions.intervals import bootstrap
from benchmarks.decisions.loops import DELAY, Count, Loop, Simple
from benchmarks.decisions.our_loop import Incumbent
from benchmarks.decisions.report import Table
from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.decisions.story import BATCHES, ROWS, Day, days, stories
from benchmarks.decisions.world import World, make_world
from benchmarks.harness import Figure, figure

STREAMS = 6
OURS, EVERY = "ours", "every batch"
SHORT = 3  # batches
OURS_SHORT = f"ours, holdout of {SHORT} batches"


def _says(rule: str) -> Callable[[Simple, int], bool]:
    return lambda loop, at: rules.decisions(loop.reference, loop.stream[at].rows)[rule]


POLICIES: Mapping[str, Callable[[World, Sequence[Day]], Loop]] = {
    "never": Simple,
    EVERY: partial(Simple, trigger=lambda loop, at: True),
    "every 5 batches": partial(Simple, trigger=lambda loop, at: at % 5 == 0),
    "Evidently share ≥ .5*": partial(Simple, trigger=_says("Evidently dataset*")),
    "Alibi Bonferroni*": partial(Simple, trigger=_says("Alibi Bonferroni*")),
    OURS: Incumbent,
    OURS_SHORT: partial(Incumbent, holdout=SHORT),
}


def stream_counts(commit: str, chosen: Sequence[str], task: tuple[str, int]) -> dict[str, Count]:
    """Return what each policy does in one stream."""
    name, seed = task
    world = make_world(20)
    stream = days(world, stories(commit)[name], Draws(commit, f"closed loop {name}").rng(seed))
    return {policy: POLICIES[policy](world, stream).run() for policy in chosen}


def loops(commit: str, chosen: Sequence[str] = tuple(POLICIES)) -> dict[str, dict[str, list[Count]]]:
    """Return what each policy does in each stream, by story."""
    tasks = [(name, seed) for name in stories(commit) for seed in range(scaled(STREAMS))]
    found = spread(partial(stream_counts, commit, chosen), tasks)
    return {
        name: {
            policy: [each[policy] for task, each in zip(tasks, found, strict=True) if task[0] == name]
            for policy in chosen
        }
        for name in stories(commit)
    }


def loop_table(found: Mapping[str, Mapping[str, Sequence[Count]]]) -> Table:
    """Return what each policy does, on the mean of the streams of a story."""
    head = [
        "story",
        "policy",
        "retrains",
        "wasted",
        "good / noise / harmful",
        "rollbacks (wrong)",
        "corrupt",
        "regret bp",
    ]
    rows = []
    for story, policies in found.items():
        for policy, counts in policies.items():
            promotions = " / ".join(f"{_mean(counts, name):.1f}" for name in ("good", "noise", "harmful"))
            low, high = bootstrap([each.regret for each in counts])
            back = f"{_mean(counts, 'rollbacks'):.1f} ({_mean(counts, 'wrong'):.1f})"
            numbers = [f"{_mean(counts, name):.1f}" for name in ("retrains", "wasted")]
            regret = f"{_mean(counts, 'regret'):.0f} ({low:.0f}–{high:.0f})"
            rows.append([story, policy, *numbers, promotions, back, f"{_mean(counts, 'corrupt'):.1f}", regret])
    says = (
        f"Means over streams of {BATCHES} batches of {ROWS:,} rows, labels {DELAY} batches late: seasonal unused "
        "columns, two batches with amounts ×100, an unused column that jumps, concept drift, six batches of noisy "
        "labels. Peers get what people do: new above old, and back when the AUC falls by 0.02. * by the rule of its "
        "source."
    )
    return Table("The closed loop", says, head, rows)


def loop_figures(found: Mapping[str, Mapping[str, Sequence[Count]]]) -> Iterator[Figure]:
    """Yield what was promised of the whole."""
    for story, policies in found.items():
        counts, every = policies[OURS], policies[EVERY]
        wasted = [100 * each.wasted / BATCHES for each in counts]
        yield figure(f"wasted retrains per 100 batches: {story}", _of(wasted), "", 1.5, bootstrap(wasted))
        for name in ("harmful", "corrupt", "wrong"):
            each_one = [float(getattr(each, name)) for each in counts]
            said = {"harmful": "harmful promotions", "corrupt": "trained on corrupt rows", "wrong": "wrong rollbacks"}
            yield figure(f"{said[name]} a stream: {story}", _of(each_one), "", 0.0, bootstrap(each_one))
        for policy, goal in ((OURS, 0.75), (OURS_SHORT, None)):
            # Of sums: a stream in which every batch has cost next to nothing would else weigh most.
            ratios = _ratios([each.regret for each in policies[policy]], [each.regret for each in every])
            name = f"regret of {policy} to retraining every batch: {story}"
            yield figure(name, _of_all(policies[policy]) / _of_all(every), "", goal, ratios)
        yield figure(f"retrains a stream: {story}", _mean(counts, "retrains"), "")


def _of_all(counts: Sequence[Count]) -> float:
    return max(sum(each.regret for each in counts), 1e-9)


def _ratios(mine: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of sums over the same streams, by resampling these."""
    chosen = np.random.default_rng(0).integers(0, len(mine), (1000, len(mine)))
    found = np.array(mine)[chosen].sum(axis=1) / np.maximum(np.array(theirs)[chosen].sum(axis=1), 1e-9)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _mean(counts: Sequence[Count], name: str) -> float:
    return _of([float(getattr(each, name)) for each in counts])


def _of(values: Sequence[float]) -> float:
    return float(np.mean(values))
