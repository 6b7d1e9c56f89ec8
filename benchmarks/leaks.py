"""Leaks planted in public tables: which are named, and which honest columns with them.

The peer is what people do by hand: call a column a leak when its single-feature AUC reaches 0.99, or 0.95. Each
draw of a table is judged as it is, and with one leak of each kind. Figures are shares: of leaks that are
missed, of honest columns that are named.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from demo.raw_data import BEFORE_DEPARTURE, flights, outcomes
from scipy.stats import rankdata

from benchmarks.harness import Figure, figure
from benchmarks.leak_plants import PLANTS, plant
from benchmarks.leak_tables import Table, tables, whole_flights
from incumbent.leaks import find_leaks
from incumbent.leaks.association import fold_codes, halves, strength
from incumbent.leaks.columns import Column, read_columns
from incumbent.stats import auc

SEEDS = 20
NONE = "nothing"
METHODS = ("incumbent", "AUC 0.99", "AUC 0.95")
AFTER = ("dep_time", "dep_delay", "arr_time", "air_time")


@dataclass(frozen=True)
class Try:
    """One draw of a table with one planted leak, or none.

    Attributes:
        table: Name of the table.
        kind: Kind of the leak; `nothing` for none.
        method: Who looked.
        named: Whether the leak was named.
        honest_named: Honest columns that were named.
        honest: Honest columns.
    """

    table: str
    kind: str
    method: str
    named: bool
    honest_named: tuple[str, ...]
    honest: int


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known, after two tables for people."""
    tries = list(study(tables(), range(SEEDS)))
    print_recall(tries)
    for kind in PLANTS:
        for method in METHODS:
            goal = 0.05 if method == "incumbent" else None
            yield figure(f"missed_{kind}_by_{method}".replace(" ", "_"), missed(tries, kind, method), "share", goal)
    for method in METHODS:
        goal = 0.02 if method == "incumbent" else None
        yield figure(f"honest_named_by_{method}".replace(" ", "_"), honest_named(tries, method), "share", goal)
    yield from _flights()
    yield from _cost()


def study(given: Iterable[Table], seeds: Iterable[int], kinds: Sequence[str] = tuple(PLANTS)) -> Iterator[Try]:
    """Yield what each method says of each table, seed and kind."""
    drawn = [(table, seed) for table in given for seed in seeds]
    for table, seed in drawn:
        rows = table.draw(seed)
        for kind in (NONE, *kinds):
            frame = rows if kind == NONE else plant(rows, kind, seed)
            for method, names in _named(frame, table.task, seed).items():
                honest = tuple(sorted(names & set(rows.columns)))
                yield Try(table.name, kind, method, "planted" in names, honest, rows.shape[1] - 1)


def missed(tries: Iterable[Try], kind: str, method: str) -> float:
    """Return the share of planted leaks of a kind that a method does not name."""
    return 1.0 - float(np.mean([each.named for each in tries if (each.kind, each.method) == (kind, method)]))


def honest_named(tries: Iterable[Try], method: str) -> float:
    """Return the share of honest columns that a method names, over all tries."""
    mine = [each for each in tries if each.method == method]
    return sum(len(each.honest_named) for each in mine) / sum(each.honest for each in mine)


def print_recall(tries: Sequence[Try]) -> None:
    """Print the share of leaks named by kind and table, and of honest columns named, by method."""
    names = list(dict.fromkeys(each.table for each in tries))
    for method in METHODS:
        found: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for each in tries:
            if each.method == method:
                found[each.kind, each.table].append(each.named)
        print(f"\nshare named by {method:<20}" + "".join(f"{name[:12]:>13}" for name in names) + f"{'all':>8}")
        for kind in PLANTS:
            shares = [float(np.mean(found[kind, name])) for name in names]
            print(f"  {kind:<34}" + "".join(f"{share:>13.2f}" for share in shares) + f"{np.mean(shares):>8.3f}")
        mine = [honest_named([each for each in tries if each.table == name], method) for name in names]
        print(f"  {'honest columns':<34}" + "".join(f"{share:>13.3f}" for share in mine) + f"{np.mean(mine):>8.3f}")


def _named(frame: pd.DataFrame, task: str, seed: int) -> Mapping[str, set[str]]:
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    areas = single_aucs(rows, task)
    return {
        "incumbent": set(find_leaks(rows, "label", task, seed=seed).named),
        "AUC 0.99": {name for name, area in areas.items() if area >= 0.99},
        "AUC 0.95": {name for name, area in areas.items() if area >= 0.95},
    }


def single_aucs(rows: pa.Table, task: str) -> dict[str, float]:
    """Return the AUC of each column by itself: of its order, or of the mean labels of its levels or bins."""
    label = rows["label"].to_numpy()
    positive = halves(label, task)
    columns, _ = read_columns(rows, [name for name in rows.column_names if name != "label"])
    folds = fold_codes(label, task, 7)
    return {column.name: max(strength(column, label, task, folds).auc, _order(column, positive)) for column in columns}


def _order(column: Column, positive: np.ndarray) -> float:
    known = np.isfinite(column.values)
    truth = positive[known]
    if column.is_text or not 0 < truth.mean() < 1:
        return 0.5
    area = auc(truth, rankdata(column.values[known]))
    return max(area, 1.0 - area)


def _flights() -> Iterator[Figure]:
    """Yield what is said of a year of flights when what is known after departure is offered too."""
    rows = whole_flights()
    for what, kept, asked in (
        ("with_cancelled", rows, AFTER),
        ("landed_only", rows[rows.label.notna()], ("dep_time", "dep_delay", "arr_time")),
    ):
        offered = pa.Table.from_pandas(kept[[*BEFORE_DEPARTURE, *AFTER, "label"]], preserve_index=False)
        named = set(find_leaks(offered, "label", "binary", time="time_hour").named)
        yield figure(f"flights_{what}_missed", len(set(asked) - named) / len(asked), "share", 0.0)
        yield figure(f"flights_{what}_honest_named", len(named - set(AFTER)) / len(BEFORE_DEPARTURE), "share", 0.0)


def _cost() -> Iterator[Figure]:
    """Yield the processor time for a year of flights, as a multiple of the time for all single AUCs."""
    rows = flights().drop(columns="time_hour").assign(label=(outcomes().arr_delay > 15).astype(float))
    table = pa.Table.from_pandas(rows, preserve_index=False)
    seconds = []
    for look in (lambda: find_leaks(table, "label", "binary"), lambda: single_aucs(table, "binary")):
        began = time.process_time()
        look()
        seconds.append(time.process_time() - began)
    yield figure("processor_time_300000_rows", seconds[0], "s", 3.0)
    yield figure("processor_time_to_single_aucs", seconds[0] / seconds[1], "")
