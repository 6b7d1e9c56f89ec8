"""The same real rows with nothing in them that a policy should act upon.

Dealt to other days, no day is like another day: each alarm is false, and each training for one is wasted. With
other rows' labels, nothing can be learned: whoever is promoted got the seat by luck.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.replay.history import History
from benchmarks.replay.play import play
from benchmarks.replay.policies import Ours
from benchmarks.replay.production import Production
from benchmarks.replay.trainings import Trainings
from benchmarks.replay.world import World
from incumbent.partitions import Grain

CAUSES = ("drift", "performance")


@dataclass
class Null:
    """What production's policy did where there was nothing to do.

    Attributes:
        seeds: Worlds that were lived through.
        batches: Batches that a champion has scored.
        alarmed: Of them with an alarm above `info`.
        held: Batches that integrity would have held.
        judged: Challengers that came before the gates.
        promoted: Of them promoted.
        retrains: Trainings for drift or performance.
        said: Each alarm, hold and promotion with its world.
    """

    seeds: int = 0
    batches: int = 0
    alarmed: int = 0
    held: int = 0
    judged: int = 0
    promoted: int = 0
    retrains: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def alarms_in_100(self) -> float:
        """Alarmed or held batches of a hundred."""
        return 100 * (self.alarmed + self.held) / max(self.batches, 1)


def days_dealt_anew(history: History, grain: Grain, seeds: Iterable[int], cache: Path, rounds: int) -> Null:
    """Live through worlds in which no day is like another."""
    world = World.of(history, grain)
    return _lived((world.dealt_anew(seed) for seed in seeds), cache, rounds)


def labels_dealt_anew(history: History, grain: Grain, seeds: Iterable[int], cache: Path, rounds: int) -> Null:
    """Live through worlds in which nothing can be learned."""
    world = World.of(history, grain)
    return _lived((world.with_other_labels(seed) for seed in seeds), cache, rounds)


def _lived(worlds: Iterable[World], cache: Path, rounds: int) -> Null:
    found = Null()
    for number, world in enumerate(worlds):
        # The gate against leaks only ever says no: without it a promotion by luck is likelier, and a run shorter.
        production = Production(world, cache, looks_for_leaks=False)
        state = play(world, Ours(), Trainings(world, cache, rounds), production)
        found.seeds += 1
        found.batches += len(state.scored)
        found.alarmed += len({partition for partition, _ in state.alarms})
        found.held += len({partition for partition, _ in state.held} & state.scored.keys())
        found.judged += len(state.trainings)
        found.promoted += len(state.seats)
        found.retrains += sum(each.reason in CAUSES for each in state.trainings)
        found.said += [f"{number}: {partition} {said}" for partition, said in (*state.alarms, *state.held)]
        found.said += [
            f"{number}: {each.partition} {each.sentence}" for each in state.trainings if each.verdict == "promote"
        ]
    return found
