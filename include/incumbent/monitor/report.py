"""The Evidently page of a bounded sample, headed by the verdict that was recorded.

Evidently's own tests decide nothing here, so its picture must not contradict the decision: the page
says at the top what was decided, by which test, against which reference and threshold.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.classes import SCORE

MARK = "<body>"


def write(
    path: Path,
    reference: pa.Table,
    current: pa.Table,
    features: Sequence[str],
    verdict: Mapping[str, Any],
    max_rows: int,
    seed: int = 7,
    sensitive: Sequence[str] = (),
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: Where to.
        reference: Feature rows of the champion's training partitions.
        current: Feature rows of the partition.
        features: Columns to draw, at most ten.
        verdict: The recorded drift verdict.
        max_rows: Rows of each sample.
        seed: Seed of the samples.
        sensitive: Sensitive columns that features may be made of; with any, nothing is drawn: which features are made
            of them is not known, and a picture shows values.
    """
    from evidently import Report
    from evidently.presets import DataDriftPreset

    drawable = [] if sensitive else [name for name in features if name.isidentifier()]
    names = drawable[:10]  # Evidently does not escape column names
    samples = [_sample(rows.select(names), max_rows, seed) for rows in (current, reference)]
    # Evidently raises on a column without values, which is just what a broken feed brings.
    chosen = [name for name in names if all(rows[name].null_count < rows.num_rows for rows in samples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    page = f"<html>{MARK}</body></html>"
    if chosen:
        drawn = [_harmless(rows.select(chosen)).to_pandas() for rows in samples]
        Report([DataDriftPreset()]).run(drawn[0], drawn[1]).save_html(str(temporary))
        page = temporary.read_text(encoding="utf-8")
    left_out = [name for name in names if name not in chosen]
    head = _head(verdict, max_rows, left_out, sensitive)
    temporary.write_text(page.replace(MARK, MARK + head, 1) if MARK in page else head + page, encoding="utf-8")
    temporary.replace(path)


def _sample(rows: pa.Table, max_rows: int, seed: int) -> pa.Table:
    if rows.num_rows <= max_rows:
        return rows
    picked = np.random.default_rng(seed).choice(rows.num_rows, max_rows, replace=False)
    return rows.take(pa.array(np.sort(picked)))


def _harmless(rows: pa.Table) -> pa.Table:
    """Return rows whose text cannot end the script that Evidently writes it into, unescaped."""
    for position, name in enumerate(rows.column_names):
        if pa.types.is_string(rows[name].type):
            rows = rows.set_column(position, name, pc.replace_substring(rows[name], "<", "‹"))
    return rows


def _head(verdict: Mapping[str, Any], max_rows: int, left_out: Sequence[str], sensitive: Sequence[str]) -> str:
    score = verdict.get("score") or {}
    decided = (
        "Evidently decided the verdict above, on other samples."
        if verdict.get("engine") == "evidently"
        else "The verdict above was decided on all rows; Evidently's own tests below decide nothing."
    )
    lines = [
        f"Verdict: {verdict['tier']}. {verdict['sentence']}",
        f"Score{score.get('column', SCORE).removeprefix(SCORE)}: effect {score.get('effect')}, p {score.get('p')}, "
        f"threshold {score.get('alpha')}, "
        f"ordinary {score.get('ordinary')}; reference: {verdict['batches']} training partition(s) of "
        f"generation {verdict['generation']}.",
        f"Drawn from samples of at most {max_rows} rows. {decided}",
    ]
    if sensitive:
        lines[-1] = f"Nothing is drawn: features may be made of the sensitive columns {', '.join(sensitive)}."
    if left_out:
        lines.append(f"Not drawn, because one of the samples has no value: {', '.join(left_out)}.")
    body = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return f'<div style="font:16px sans-serif;padding:16px;border-bottom:2px solid #888">{body}</div>'
