"""The same batches, judged by us and by the real packages of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.decisions import drift, labelled, rules
from benchmarks.decisions.families import Batch
from benchmarks.decisions.intervals import rate
from benchmarks.decisions.labelled import QUIET, Change
from benchmarks.decisions.peers import DRIFT, Answers, Question, ask
from benchmarks.decisions.report import NOTHING, Table
from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.sizes import processes, scaled
from benchmarks.decisions.streams import Cell, Group, groups
from benchmarks.decisions.votes import ANY, HELD, PAGED, together, votes
from benchmarks.decisions.world import World
from benchmarks.harness import Figure, figure

QUIET_BATCHES, FAULT_BATCHES, STREAMS, LENGTH = 30, 4, 6, 20
GROUPS = 3
CELLS = ("1,000 / 100", "1,000 / 1,000", "10,000 / 100", "10,000 / 1,000")
SAME_RULE = {
    "Evidently any column": "Evidently any column*",
    "Evidently dataset": "Evidently dataset*",
    "Alibi Bonferroni": "Alibi Bonferroni*",
}


@dataclass(frozen=True)
class Asked:
    """A cell with the groups that everybody judges.

    Attributes:
        name: Its name.
        cell: Its sizes.
        groups: The batches.
        seed: Of the labels that the peers get with the past.
    """

    name: str
    cell: Cell
    groups: tuple[Group, ...]
    seed: int


def asked(commit: str) -> list[Asked]:
    """Return the cells that are put to everybody."""
    found: list[Asked] = []
    studies = [each for each in drift.alike(commit) if each.cell.name in CELLS]
    studies += [each for each in drift.wobbly(commit) if each.cell.name.startswith("wobble 0.08, 40")]
    for study in [*studies, *drift.faulty(commit)]:
        quiet = study in studies
        count = scaled(QUIET_BATCHES if quiet else FAULT_BATCHES)
        cell = Cell(**{**vars(study.cell), "per_group": -(-count // (GROUPS if quiet else 1))})
        name = study.family.name if not quiet or "sd" in study.family.name else f"quiet: {study.cell.name}"
        rng = Draws(commit, f"beside {name}").rng(0)
        found.append(Asked(name, cell, tuple(groups(cell, study.family, rng, count)), len(found)))
    return found


def answers(given: Sequence[Asked], home: Path) -> dict[str, Answers]:
    """Return what each peer says of all groups, in the order of the cells."""
    questions = [_question(each.cell.world, group, each.seed) for each in given for group in each.groups]
    with ThreadPoolExecutor(processes()) as pool:
        found = pool.map(lambda peer: ask(peer, questions, home), DRIFT)
    return dict(zip(DRIFT, found, strict=True))


def _question(world: World, group: Group, seed: int) -> Question:
    rng = np.random.default_rng(seed)
    return Question(
        reference=pa.concat_tables([_rows(world, batch, rng) for batch in group.past]),
        batches=[_rows(world, batch, rng) for batch in group.batches],
        numbers=(*world.numbers, *world.amounts),
        levels=tuple(world.levels),
        used=world.used,
        past=len(group.past),
    )


def _rows(world: World, batch: Batch, rng: np.random.Generator) -> pa.Table:
    labels = (rng.random(batch.rows.size) < batch.chances).astype(np.int64)
    return batch.rows.table(world.scores(batch.rows)).append_column("label", pa.array(labels))


def beside_table(given: Sequence[Asked], said: Mapping[str, Answers]) -> tuple[Table, list[Figure]]:
    """Return the shares that everybody flags, and how often the rules written here agree with the packages."""
    names = list(dict.fromkeys(rule for each in said.values() for batch in _flat(each) for rule in batch))
    names = [name for name in names if name != "error"]
    rows, agree, at = [], defaultdict[str, list[bool]](list), 0
    for each in given:
        mine = votes(each.cell.world, each.groups, in_turn=each.cell.in_turn)
        theirs: dict[str, list[bool]] = defaultdict(list)
        for group in each.groups:
            reference = together([batch.rows for batch in group.past])
            written = [rules.decisions(reference, batch.rows) for batch in group.batches]
            for answers_ in said.values():
                for batch, own in zip(answers_.said[at] if answers_.said else (), written, strict=False):
                    for rule, yes in batch.items():
                        theirs[rule].append(yes)
                        if rule in SAME_RULE and "error" not in batch:
                            agree[rule].append(yes == own[SAME_RULE[rule]])
            at += 1
        count = rate(mine[ANY]).count
        own_cells = [rate(mine[name]).text() for name in (ANY, PAGED, HELD)]
        rows.append([each.name, *own_cells, *(_share(theirs.get(name, [])) for name in names), str(count)])
    says = "Share of the same batches flagged, with 95 % interval, by us and by the packages. " + " ".join(
        f"{peer}: {one.missing}."
        if one.missing
        else f"{peer}: {one.seconds:.2f} s a batch, {one.errors} errors (an "
        "error stops a pipeline and counts as an alarm)."
        for peer, one in said.items()
    )
    table = Table(
        "Beside the real packages", says, ["cell", "ours: any", "ours: page", "ours: held", *names, "N"], rows
    )
    return table, [figure(f"rule agrees with package: {rule}", _mean(same), "share") for rule, same in agree.items()]


def errors_table(commit: str, home: Path) -> Table:
    """Return what detectors on a stream of errors find, beside us."""
    changes = [QUIET, *labelled.changes(commit)[:4]]
    rows, detectors = [], None
    for change in changes:
        streams = [_stream(commit, change, seed) for seed in range(scaled(STREAMS))]
        found = ask("river", streams, home, "labelled")
        if found.missing:
            return Table("Detectors on errors", f"river: {found.missing}.", ["stream"], [])
        detectors = list(found.said[0][0])
        rows.append([change.name, *(_first(found, name) for name in detectors), str(len(streams))])
    says = (
        f"river's detectors at their defaults, told of each wrong prediction: of {LENGTH} batches of 1,000 rows the "
        "share flagged, and the median first one."
    )
    return Table("Detectors on errors", says, ["stream", *(detectors or []), "streams"], rows)


def _stream(commit: str, change: Change, seed: int) -> Question:
    rng = Draws(commit, f"errors {change.name}").rng(seed)
    drawn = [labelled.draw(rng, 5000, QUIET), *(labelled.draw(rng, 1000, change) for _ in range(LENGTH))]
    first, *others = [pa.table({"label": labels, "prediction": predictions}) for labels, predictions in drawn]
    return Question(first, others)


def _first(found: Answers, name: str) -> str:
    flags = [[batch[name] for batch in stream] for stream in found.said]
    firsts = [each.index(True) + 1 for each in flags if any(each)]
    share = float(np.mean([flag for each in flags for flag in each]))
    return (
        f"{share:.3f}, {np.median(firsts):.0f} ({len(firsts) / len(flags):.0%})"
        if firsts
        else f"{share:.3f}, {NOTHING}"
    )


def _flat(each: Answers) -> Iterator[Mapping[str, bool]]:
    for group in each.said:
        yield from group


def _share(flags: Sequence[bool]) -> str:
    return rate([[flag] for flag in flags]).text() if flags else NOTHING


def _mean(flags: Sequence[bool]) -> float:
    return float(np.mean(flags))
