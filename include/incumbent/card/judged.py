"""How a version was judged: its gates, its calibration, slices and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incumbent.card.blocks import Block, Cell, Items, Plot, Section, Table, Text, Word, number
from incumbent.card.known import Known
from incumbent.evaluate.words import count, percent
from incumbent.records import GateReport

WORDS = {True: Word("good", "passed"), False: Word("bad", "failed"), None: Word("open", "open")}
NOT_JUDGED = "It was never judged: there is no gate report over it."
MOST_CURVES = 6
Gate = Mapping[str, Any]


def gate_of(known: Known, name: str) -> Gate | None:
    """Return what a gate said; None if it was not asked."""
    gates = known.report.gates if known.report else ()
    return next((gate for gate in gates if gate.get("gate") == name), None)


def gates(known: Known) -> Section:
    """Return the verdict and what each gate said."""
    report = known.report
    if report is None:
        return Section("How it was judged", (Text(NOT_JUDGED),))
    against = f"generation {report.champion_generation}" if report.champion_generation else "simple rules, as the first"
    rows: list[tuple[Cell, ...]] = []
    for gate in report.gates:
        word = WORDS[gate.get("passed")] if gate.get("applies", True) else Word("open", "does not apply")
        rows.append((_name(gate), word, str(gate.get("sentence", ""))))
    blocks: list[Block] = [
        Text(f"Judged against {against}, on request {report.request}. "
             f"The verdict is {report.verdict}: {report.sentence}"),
        Table(("gate", "result", "because"), tuple(rows)),
        _numbers(report),
    ]  # fmt: skip
    others = [each for each in known.reports if each.id != report.id]
    if others:
        blocks.append(Text("It was judged at other times as well:"))
        blocks.append(Items(tuple(f"{each.request}, {each.verdict}: {each.sentence}" for each in others)))
    return Section("How it was judged", tuple(blocks))


def _numbers(report: GateReport) -> Table:
    names = ("estimate", "error", "lower", "upper", "alpha")
    told = [(_name(gate), *(number(gate.get(name)) for name in names)) for gate in report.gates]
    rows = tuple(row for row in told if any(row[1:]))
    return Table(("gate", *(f"{name}#" for name in names)), rows, folded="The numbers behind it")


def _name(gate: Gate) -> str:
    return str(gate.get("gate", "")).replace("_", " ")


def calibration(known: Known) -> Section:
    """Return the curve of mean predictions against mean truths."""
    figures, task = known.figures, known.version.task
    curves = [each for each in (figures.calibration if figures else ()) if each["bins"]]
    if figures is None or not curves:
        return Section("Calibration", (Text("No curve was kept of it."),))
    about = Text(
        f"Of {count(figures.rows)} gate rows, in bins of equally many. Whiskers are two errors, clustered as those of "
        "the gates; on the dashed line the mean prediction is the mean truth."
    )
    plots = [
        Plot(
            f"Class {each['class']}" if each["class"] else "Mean prediction against mean truth",
            each["bins"],
            task != "regression",
        )
        for each in curves[:MOST_CURVES]
    ]
    head = (*(("class",) if task == "multiclass" else ()), "rows#", "mean prediction#", "mean truth#", "error#")
    names = ("rows", "predicted", "observed", "error")
    rows = tuple(
        (*((each["class"],) if task == "multiclass" else ()), *(number(one[name]) for name in names))
        for each in curves for one in each["bins"]
    )  # fmt: skip
    return Section("Calibration", (about, *plots, Table(head, rows, folded="The numbers of the curve")))


def slices(known: Known) -> Section:
    """Return how it does on parts of the rows, beside the champion."""
    gate = gate_of(known, "slices")
    if gate is None or not gate.get("slices"):
        why = str(gate["sentence"]) if gate else "a first model has no champion to be compared with, slice by slice"
        return Section("Slices", (Text(f"No slice was judged: {why}."),))
    head = ("column", "slice", "rows#", "champion#", "candidate#", "difference#", "lower#", "upper#", "result")
    rows = tuple(_slice(each) for each in gate["slices"])
    about = Text(f"{sentence(gate)} Figures are {gate.get('metric', 'the metric')}; bounds hold with 95 % each.")
    return Section("Slices", (about, Table(head, rows)))


def _slice(row: Gate) -> tuple[Cell, ...]:
    word = Word("open", "too small")
    if row.get("tested"):
        word = Word("bad", "harmed") if row.get("harmed") else Word("good", "no harm shown")
    names = ("champion", "candidate", "difference", "lower", "upper")
    return (str(row["column"]), str(row["slice"]), count(row["rows"]), *(number(row.get(name)) for name in names), word)


def sentence(gate: Gate) -> str:
    """Return what a gate said, as a sentence of its own."""
    said = str(gate.get("sentence", ""))
    return f"{said[:1].upper()}{said[1:]}."


def fairness(known: Known) -> Section:
    """Return how far groups are apart, or that nobody asked."""
    gate = gate_of(known, "fairness")
    if gate is None:
        asked = "Whether groups of people are treated alike was not asked (gates.fairness), so nothing is known of it."
        return Section("Fairness", (Text(asked),))
    if "measures" not in gate:
        return Section("Fairness", (Text(str(gate.get("sentence", ""))),))
    blocks: list[Block] = []
    for each in gate["measures"]:
        blocks.append(Text(str(each["sentence"])))
        rows = tuple((str(row["group"]), count(row["rows"]), number(row["value"])) for row in each["groups"])
        blocks.append(Table((each["column"], "rows that count#", f"{each['measure'].replace('_', ' ')}#"), rows))
        blocks.append(Text(f"A gap of {percent(each['max_gap'])} is allowed."))
    return Section("Fairness", tuple(blocks))
