"""`incumbent compare A.parquet B.parquet --key id --label y`: needs no service and no store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.cli.main import FINE, VERDICT_NO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from incumbent.alone.compare import Comparison

MORE = "more than once"


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("a", type=Path, metavar="A", help="predictions of A, which B has to beat: .parquet or .csv")
    parser.add_argument("b", type=Path, metavar="B", nargs="?", help="those of B; absent if A has both")
    parser.add_argument("--label", required=True, metavar="COLUMN", help="what came true, in A or B; empty: not known")
    parser.add_argument("--key", action="append", default=[], metavar="COLUMN", help=f"identifies a row; {MORE}")
    parser.add_argument(
        "--score",
        metavar="COLUMN",
        help="the predictions (score, prediction or probability); of several classes what their columns begin with",
    )
    parser.add_argument("--score-b", metavar="COLUMN", help="those of B, if they have another name")
    parser.add_argument(
        "--task",
        choices=("binary", "multiclass", "regression"),
        help="binary if labels are 0 and 1, regression if they are other numbers, multiclass if they are texts",
    )
    parser.add_argument(
        "--cluster", action="append", default=[], metavar="COLUMN",
        help=f"rows that have it in common share their luck, as of one day; {MORE}",
    )  # fmt: skip
    parser.add_argument(
        "--slice", action="append", default=[], metavar="COLUMN", help=f"compared by its groups; {MORE}"
    )
    parser.add_argument("--sensitive", action="append", default=[], metavar="COLUMN", help=f"not printed; {MORE}")
    parser.add_argument("--alpha", type=float, default=0.01, help="error rate of `better` (0.01)")
    parser.add_argument(
        "--min-improvement", type=float, default=0.002, help="smallest difference that matters: AUC, or share (0.002)"
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def compare(arguments: argparse.Namespace) -> int:
    """Say which is better; the verdict is yes if B is, and nothing speaks against it."""
    from incumbent.alone.compare import compare as ask

    found = ask(
        arguments.a, arguments.b, label=arguments.label, key=arguments.key, score=arguments.score,
        score_b=arguments.score_b, task=arguments.task, cluster=arguments.cluster, slices=arguments.slice,
        sensitive=arguments.sensitive, alpha=arguments.alpha, min_improvement=arguments.min_improvement,
    )  # fmt: skip
    if arguments.json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found)
    return FINE if found.passed else VERDICT_NO


def _print(found: Comparison) -> None:
    from incumbent.evaluate.contest import LOSS_ALPHA

    print(found.sentence)
    for name, side in (("A", found.a), ("B", found.b)):
        beside = f"; {_beside(found.task, side)}" if "loss" in side else ""
        print(f"  {name} ({side['column']}): {found.metric} {side['value']:.4f}{beside}")
    if found.detectable is not None:
        amount = _amount(found.task, found.detectable).lstrip("+")
        print(f"  a true difference of {amount} would be seen in nine of ten cases")
    if found.slices:
        print(f"  by slice (interval {1 - 2 * LOSS_ALPHA:.0%}):")
    for each in found.slices:
        print(f"    {_slice(found.task, each)}")
    for note in found.notes:
        print(f"note: {note}")
    print(_next(found))


def _beside(task: str, side: Mapping[str, Any]) -> str:
    loss = f"log loss {side['loss']:.4f}, " if task == "binary" else ""
    misses = side["misses"]
    if isinstance(misses, dict):
        worst = max(misses, key=lambda name: abs(misses[name]))
        return f"the mean probability of {worst} misses by {misses[worst]:+.4f}"
    return f"{loss}the mean misses by {misses:+.4f}"


def _slice(task: str, each: Mapping[str, Any]) -> str:
    name = f"{each['column']} {each['value']}: {each['rows']:,} rows"
    if "estimate" not in each:
        return f"{name}, too few to say"
    text = (
        f"{name}, {_amount(task, each['estimate'])}, {_amount(task, each['lower'])} to {_amount(task, each['upper'])}"
    )
    return text + (", B is worse" if each["is_worse"] else "")


def _amount(task: str, value: float) -> str:
    return f"{value:+.4f}" if task == "binary" else f"{value:+.2%}"


def _next(found: Comparison) -> str:
    if found.passed:
        return "Next: take B; docs/alone.md says what this does and does not promise"
    if found.objections:
        return "Next: look at what speaks against B before it is taken"
    if found.verdict == "not enough rows to say":
        return "Next: keep A, and come back with more labelled rows"
    return "Next: keep A"
