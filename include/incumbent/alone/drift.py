"""Whether one table is another kind of table than a reference, and what has moved.

The tests are those that hold a batch and that MONITOR runs. They have to know how much good batches differ among each
other. A reference of one file is cut into parts for that, in the order of time or of its rows: parts of rows that
somebody has shuffled differ by chance alone, and then only the tolerance is ordinary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from incumbent.alone.columns import Judged, judged
from incumbent.alone.moved import moved_by
from incumbent.alone.table import column_names, given, plain
from incumbent.alone.weights import weights_of
from incumbent.config import Integrity, Monitor
from incumbent.errors import ConfigError
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.monitor.drift import drift_verdict

NO_DRIFT, DRIFT, BAD_DATA, TOO_LITTLE = "no drift", "drift", "bad data", "not enough data"
QUIET = ("none", "info")  # tiers of which nobody has to be told
MOST_PARTS, LEAST_PARTS, PART_ROWS = 40, 2, 100
LEAST_ROWS = 50  # of the batch
NO_SCORE = "#score"  # one that stands still, where there is none: half of the error rate is for scores


@dataclass(frozen=True)
class Drift:
    """What is said of a table against a reference.

    Attributes:
        verdict: `no drift`, `drift`, `bad data` or `not enough data`.
        sentence: The verdict for a person.
        rows, reference_rows: Of both tables.
        parts: Into how many the reference was cut, to learn how much good data differ.
        tier: Of the shape tests, as MONITOR has it.
        faults: What is broken: each with its column, test and sentence.
        moved: Columns whose shape has changed, the surest first: effect, p, error rate, and by what they moved.
        columns: Columns that were judged.
        notes: What else should be known, such as columns that nobody judged.
    """

    schema: ClassVar[str] = "incumbent.drift/1"

    verdict: str
    sentence: str
    rows: int
    reference_rows: int
    parts: int
    tier: str
    faults: tuple[Mapping[str, Any], ...]
    moved: tuple[Mapping[str, Any], ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing has moved and nothing is broken."""
        return self.verdict == NO_DRIFT

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema": self.schema, **asdict(self), "passed": self.passed}


def drift(
    reference: Any,
    batch: Any,
    *,
    time: str | None = None,
    ignore: Sequence[str] | str = (),
    score: str | None = None,
    importance: Mapping[str, float] | str | Path | None = None,
    target: str | None = None,
    sensitive: Sequence[str] | str = (),
    alpha: float = Monitor().alpha,
) -> Drift:
    """Say whether a table has drifted from a reference, and what moved.

    Args:
        reference: What is known to be good: a path (Parquet, CSV), an Arrow table or a data frame.
        batch: What is judged.
        time: Column that orders the reference; in the order of its rows if None.
        ignore: Columns that nobody judges.
        score: Column of a model's predictions in both: it counts as much as all others together.
        importance: Column to its share, or a JSON file of that; all columns count alike if None.
        target: Column of the reference that a small model is fitted to, whose gain is the importance.
        sensitive: Columns whose values nobody is shown.
        alpha: Error rate of the shape tests together.

    Raises:
        PipelineError: A table cannot be read, or a column is missing.
    """
    hidden = column_names(sensitive)
    before, after = given(reference, "the reference", hidden), given(batch, "the batch", hidden)
    for each in (before, after):
        each.need([score] if score else [])
    before.need([name for name in (time, target) if name])
    skipped = {*column_names(ignore), *(name for name in (time, target) if name)}
    columns = judged(plain(before.rows), plain(after.rows), skipped)
    weights = weights_of(importance, target, plain(before.rows), [name for name in columns.names if name != score])
    if time is not None:
        columns = columns.ordered(before.rows[time])
    return _judge(columns, score, weights, _settings(alpha), hidden)


def _settings(alpha: float) -> Monitor:
    if not 0 < alpha < 0.5:
        raise ConfigError(
            "this error rate says nothing",
            where="--alpha",
            expected="a number above 0 and below 0.5",
            found=f"{alpha:g}",
            next_step="leave it out, or correct it",
        )
    return Monitor(alpha=alpha)


def _judge(
    columns: Judged, score: str | None, weights: Mapping[str, float], settings: Monitor, hidden: Sequence[str]
) -> Drift:
    reference, batch = columns.reference, columns.batch
    parts = min(MOST_PARTS, reference.num_rows // PART_ROWS)
    if parts < LEAST_PARTS or batch.num_rows < LEAST_ROWS or not columns.names:
        return _too_little(columns, parts)
    names = list(columns.names)
    past, now = [profile(part, names) for part in _cut(reference, parts)], profile(batch, names)
    faults = [*columns.faults, *findings(now, past, None, Integrity())]
    scores = (score,) if score else (NO_SCORE,)
    if score is None:  # the features have the scores' half of the error rate
        settings = settings.model_copy(update={"alpha": 2 * settings.alpha})
        past, now = [_with_score(each) for each in past], _with_score(now)
    found = drift_verdict("the batch", 0, "", now, past, weights, settings, scores)
    moved = _moved(found.features, found.score if score else {}, score, columns, hidden)
    told = tuple({key: value for key, value in fault.items() if key not in ("importance", "holds")} for fault in faults)
    verdict = BAD_DATA if faults else NO_DRIFT if found.tier in QUIET else DRIFT
    return Drift(
        verdict=verdict,
        sentence=_sentence(verdict, told, moved, columns, parts),
        rows=batch.num_rows,
        reference_rows=reference.num_rows,
        parts=parts,
        tier=found.tier,
        faults=told,
        moved=moved,
        columns=columns.names,
        notes=columns.notes,
    )


def _too_little(columns: Judged, parts: int) -> Drift:
    reference, batch = columns.reference.num_rows, columns.batch.num_rows
    lacks = [f"{batch} rows of the {LEAST_ROWS} needed"] if batch < LEAST_ROWS else []
    lacks += [f"{reference} rows of reference of the {LEAST_PARTS * PART_ROWS} needed"] if parts < LEAST_PARTS else []
    lacks += [] if columns.names else ["no column that both tables have and that can be judged"]
    verdict = BAD_DATA if columns.faults else TOO_LITTLE
    said = "; ".join([*(str(fault["sentence"]) for fault in columns.faults), *lacks])
    return Drift(
        verdict, f"{verdict}: {said}", batch, reference, max(parts, 0), "none", columns.faults, (), columns.names,
        columns.notes,
    )  # fmt: skip


def _cut(rows: pa.Table, parts: int) -> list[pa.Table]:
    ends = np.linspace(0, rows.num_rows, parts + 1).astype(int)
    return [rows.slice(first, until - first) for first, until in pairwise(ends)]


def _with_score(found: Profile) -> Profile:
    rows = max((each.rows for each in found.columns.values()), default=0)
    still = profile(pa.table({NO_SCORE: np.ones(rows)}), [NO_SCORE])
    return Profile({**found.columns, **still.columns})


def _moved(
    features: Sequence[Mapping[str, Any]],
    of_score: Mapping[str, Any],
    score: str | None,
    columns: Judged,
    hidden: Sequence[str],
) -> tuple[dict[str, Any], ...]:
    """Return what moved, the surest first, each with by how much in words."""
    tests = {str(each["feature"]): each for each in features}
    if score is not None and of_score["p"] < of_score["alpha"]:
        tests[score] = of_score
    found = []
    for name in sorted(tests, key=lambda name: (tests[name]["p"] / tests[name]["alpha"], -tests[name]["effect"], name)):
        numbers = {key: tests[name][key] for key in ("effect", "p", "alpha")}
        says = "" if name in hidden else moved_by(columns.reference[name], columns.batch[name])
        found.append({"column": name, "importance": tests[name].get("importance"), **numbers, "says": says})
    return tuple(found)


def _sentence(
    verdict: str,
    faults: Sequence[Mapping[str, Any]],
    moved: Sequence[Mapping[str, Any]],
    columns: Judged,
    parts: int,
) -> str:
    if verdict == BAD_DATA:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        return f"{verdict}: " + "; ".join(str(fault["sentence"]) for fault in faults[:3]) + more
    if verdict == DRIFT:
        said = [f"{each['column']}" + (f" ({each['says']})" if each["says"] else "") for each in moved[:3]]
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"{verdict}: {len(moved)} of {len(columns.names)} columns moved: " + ", ".join(said) + more
    return f"{verdict}: {len(columns.names)} columns differ no more than {parts} parts of the reference do"
