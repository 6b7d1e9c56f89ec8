"""A model folder's real history under several policies: what each of them brings, and what it costs.

    make bench ONLY=replay
    make bench ONLY=replay MODEL=my_model RAW=/folder/with/the/deliveries GRAINS="month week" SEEDS=20

The shipped folders need no RAW: a year of flights is in the environment. See docs/replay.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Figure, figure
from benchmarks.replay.history import History, drop_flights, read_history
from benchmarks.replay.null import days_dealt_anew, labels_dealt_anew
from benchmarks.replay.play import Policy, play
from benchmarks.replay.policies import Never, Ours, Schedule, Thresholds
from benchmarks.replay.production import Production
from benchmarks.replay.state import State
from benchmarks.replay.table import Result, in_hindsight, mean, print_course, print_null, print_table, regret, shared
from benchmarks.replay.trainings import Trainings
from benchmarks.replay.world import World
from incumbent.config import load_model
from incumbent.embedded.settings import Settings
from incumbent.monitor.performance import METRICS
from incumbent.partitions import Grain

HOLDOUTS = (5, 7, 14, 28)  # fewer than gates.min_clusters of days judge nobody
HARM = 0.01  # AUC, or share of the error, by which a new holder of the seat may be worse than the one before
NULL_ROUNDS = 20  # of a hundred and more: luck does not need more, and there are hundreds of fits


@dataclass(frozen=True)
class Goal:
    """What is asked of production's policy at a grain: how much worse than training each time, how many trainings."""

    regret: float | None
    trainings: int | None


GOALS = {("flights_delay", Grain.MONTH): Goal(0.012, 7), ("flights_delay", Grain.WEEK): Goal(0.012, 12)}


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known, after the table that it is from."""
    settings = Settings.from_env(os.environ, Path.cwd())
    cache = settings.home / "bench" / "replay"
    name = os.environ.get("INCUMBENT_REPLAY_MODEL") or "flights_delay"
    grains = [Grain(each) for each in (os.environ.get("INCUMBENT_REPLAY_GRAINS") or "month week day").split()]
    folder = load_model(settings.models / name)
    given = os.environ.get("INCUMBENT_REPLAY_RAW")
    history = read_history(folder, Path(given) if given else drop_flights(folder, cache / "raw"), cache)
    for grain in grains:
        yield from replay(history, grain, cache)
        yield from holdouts(history, grain, cache)
    seeds = int(os.environ.get("INCUMBENT_REPLAY_SEEDS") or 20)
    if seeds and folder.model.task == "binary":
        yield from nulls(history, seeds, cache)


def replay(history: History, grain: Grain, cache: Path) -> Iterator[Figure]:
    """Yield what production's policy brings at a grain, beside the others."""
    world = World.of(history, grain)
    states = {policy.name: lived(world, policy, cache) for policy in policies(grain)}
    results = [Result.of(name, state) for name, state in states.items()]
    by_name = {each.name: each for each in results}
    ours, reference = by_name["ours"], by_name[_each(grain)]
    print_table(f"{history.folder.model.name} by {grain}", world.model, results, reference)
    print("  what ours did:")
    print_course(world, states["ours"])
    partitions, goal = shared(results), GOALS.get((history.folder.model.name, grain), Goal(None, None))
    yield figure(f"{grain}_{METRICS[world.model.task]}_of_ours", mean(ours, partitions), "")
    yield figure(f"{grain}_regret_against_each", regret(world.model, ours, reference, partitions), "", goal.regret)
    yield figure(f"{grain}_trainings", ours.requests, "", goal.trainings)
    scored = (sum(value is not None for value in each.values.values()) for each in (reference, ours))
    yield figure(f"{grain}_scored_later_than_each", next(scored) - next(scored), "")
    harm = HARM if METRICS[world.model.task] == "auc" else HARM * mean(ours, partitions)
    harmful = sum(gain < -harm for gain in in_hindsight(world, states["ours"]).values())
    yield figure(f"{grain}_seats_harmful_in_hindsight", harmful, "", 0.0)
    for what in ("fits", "promotions", "rollbacks", "alarms", "held", "core_s"):
        yield figure(f"{grain}_{what}", getattr(ours, what), "s" if what == "core_s" else "")


def holdouts(history: History, grain: Grain, cache: Path) -> Iterator[Figure]:
    """Yield what production's policy brings with fewer and with more gate days."""
    world = World.of(history, grain)
    results = []
    for days in HOLDOUTS:
        evaluate = world.model.evaluate.model_copy(update={"holdout_days": days})
        other = world.with_model(world.model.model_copy(update={"evaluate": evaluate}))
        for policy in (Ours(), Schedule(_each(grain), _interval(grain))):
            state = lived(other, policy, cache)
            results.append(Result.of(f"{policy.name}, {days} gate days", state))
    reference = next(each for each in results if each.name == f"{_each(grain)}, 7 gate days")
    print_table(f"{history.folder.model.name} by {grain}, gate days", world.model, results, reference)
    partitions = shared(results)
    for each in results:
        if each.name.startswith("ours"):
            gate_days = each.name.split()[1]
            yield figure(f"{grain}_gate_days_{gate_days}", mean(each, partitions), METRICS[world.model.task])


def nulls(history: History, seeds: int, cache: Path) -> Iterator[Figure]:
    """Yield what production's policy does where there is nothing to do."""
    for grain in (Grain.MONTH, Grain.WEEK):
        found = days_dealt_anew(history, grain, range(seeds), cache, NULL_ROUNDS)
        print_null(f"rows dealt to other days, by {grain}", found, NULL_ROUNDS)
        yield figure(f"null_days_{grain}_alarms_in_100_batches", found.alarms_in_100, "", 1.0)
        yield figure(f"null_days_{grain}_retrains", found.retrains, "", 0.0)
    found = labels_dealt_anew(history, Grain.MONTH, range(seeds), cache, NULL_ROUNDS)
    print_null("labels dealt to other rows, by month", found, NULL_ROUNDS)
    yield figure("null_labels_promoted", found.promoted, f"of {found.judged}", 0.0)


def lived(world: World, policy: Policy, cache: Path) -> State:
    """Return what a policy makes of a history."""
    return play(world, policy, Trainings(world, cache), Production(world, cache))


def policies(grain: Grain) -> list[Policy]:
    """Return the policies that are compared at a grain, production's first."""
    each = Schedule(_each(grain), _interval(grain))
    monthly = [Schedule("each month, no gate", Grain.MONTH)] if grain is not Grain.MONTH else []
    gated = Schedule(f"{_each(grain).partition(',')[0]}, our gates", _interval(grain), is_gated=True)
    whole = Schedule(f"{_each(grain)}, nothing held out", _interval(grain), holds_out=False)
    return [Ours(), Never(), Thresholds(), *monthly, each, whole, gated]


def _interval(grain: Grain) -> Grain:
    """Return how often the reference trains: with each partition, but not each day, which would take a day."""
    return Grain.MONTH if grain is Grain.MONTH else Grain.WEEK


def _each(grain: Grain) -> str:
    return f"each {_interval(grain)}, no gate"
