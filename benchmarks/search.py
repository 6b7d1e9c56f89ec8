"""What giving a trial up costs and saves: `make bench ONLY=search`.

Draws of public tables are searched with every trial learned to its last round. The same trials are then judged by
trials that end after some rounds without a better score, by Incumbent's rule on top of that, and by two of Optuna's
pruners as they are. A method's loss is how much worse its best trial is than the best of all, as a share of the
score; its time is the share of their seconds. What is given up is told to the sampler, so a search with the rule has
other trials: its loss is luck beside the rule's. What follows is about the choice; see `search_choice`.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from benchmarks.harness import Figure, figure
from benchmarks.leak_tables import Table, tables
from benchmarks.search_choice import latency, refitted, steered
from benchmarks.search_problem import KIND, Problem, Told
from incumbent.config import Search
from incumbent.search_space import KNOWN
from incumbent.train.suggest import suggest
from incumbent.train.trial import Asked, learn

SEEDS = 20
TRIALS = 16
ROUNDS = 200
PATIENCE = 40
NAMES = ("late flights", "rain", "diabetes", "air time")
TO_THE_END = "every round"
PATIENT, OWN, MEDIAN, HALVING = METHODS = ("no better score", "incumbent", "median pruner", "successive halving")
FREE = "incumbent, own trials"
SPACE = Search().space_of(KIND)
DEFAULT = {name: KNOWN[KIND][name] for name in SPACE}


@dataclass(frozen=True)
class Done:
    """A search that has ended.

    Attributes:
        best: Its least loss.
        seconds: Of all its trials.
        rounds: That were learned.
    """

    best: float
    seconds: float
    rounds: int


def measure() -> Iterator[Figure]:
    """Yield the figures of each method over all tables."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    losses: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    for table in tables(*NAMES):
        mine: dict[str, list[float]] = defaultdict(list)
        for seed in range(SEEDS):
            found = study(table, seed)
            whole = found[TO_THE_END]
            for method, done in found.items():
                mine[method].append(done.best / whole.best - 1)
                shares[method].append(done.seconds / whole.seconds)
        for method, values in mine.items():
            losses[method] += values
            worse = sum(value > 0 for value in values)
            print(
                f"{table.name:<14} {method:<20} mean {statistics.mean(values):8.5f}  worst {max(values):8.5f}  {worse}"
            )
    for method in METHODS:
        goals = (0.0005, 0.01, 0.65) if method == OWN else (None, None, None)
        label = method.replace(" ", "_")
        yield figure(f"{label}: mean_loss", statistics.mean(losses[method]), "share", goals[0])
        yield figure(f"{label}: worst_loss", max(losses[method]), "share", goals[1])
        yield figure(f"{label}: time", shares[method], "share", goals[2])
    yield figure("incumbent, own trials: mean_loss", statistics.mean(losses[FREE]), "share", 0.0025)
    yield from (*latency(), *refitted(), *steered())


def study(table: Table, seed: int, trials: int = TRIALS) -> dict[str, Done]:
    """Return what each method finds on one draw: all but the last on the same trials."""
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as folder:
        problem = Problem(table, seed, Path(folder))
        same: list[dict[str, Any]] = []
        whole = searched(problem, seed, trials, same, patience=None)
        return {
            TO_THE_END: whole,
            PATIENT: searched(problem, seed, trials, same),
            OWN: searched(problem, seed, trials, same, gives_up=True),
            MEDIAN: pruned(problem, same, optuna.pruners.MedianPruner()),
            HALVING: pruned(problem, same, optuna.pruners.SuccessiveHalvingPruner()),
            FREE: searched(problem, seed, trials, [], gives_up=True),
        }


def searched(
    problem: Problem,
    seed: int,
    trials: int,
    same: list[dict[str, Any]],
    patience: int | None = PATIENCE,
    *,
    gives_up: bool = False,
) -> Done:
    """Search as Incumbent does, with the parameters that are there; others are drawn, and put there."""
    known: list[tuple[dict[str, Any], float]] = []
    seconds, rounds = 0.0, 0
    for number in range(trials):
        if number == len(same):
            same.append(suggest(SPACE, known, [], seed, number) if number else DEFAULT)
        curve = problem.curve(same[number])
        best = min((loss for _, loss in known), default=None) if gives_up else None
        told = learn(Told(curve), ROUNDS, patience, Asked(number, "", same[number], best))
        known.append((same[number], min(told.scores)))
        seconds, rounds = seconds + curve.cost(len(told.scores)), rounds + len(told.scores)
    return Done(min(loss for _, loss in known), seconds, rounds)


def pruned(problem: Problem, same: Sequence[Mapping[str, Any]], pruner: Any) -> Done:
    """Search as Optuna does, with the same parameters: each round is reported, and its pruner is asked."""
    study = optuna.create_study(pruner=pruner)
    seconds, rounds, bests = 0.0, 0, []
    for params in same:
        trial, curve = study.ask(), problem.curve(params)
        for count in range(1, ROUNDS + 1):
            trial.report(curve.upto(count)[-1], count)
            if (is_pruned := trial.should_prune()) or count == ROUNDS:
                break
        seconds, rounds = seconds + curve.cost(count), rounds + count
        if is_pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            bests.append(min(curve.upto(count)))
            study.tell(trial, bests[-1])
    return Done(min(bests), seconds, rounds)
