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

MARK = "<body>"


def write(
    path: Path,
    reference: pa.Table,
    current: pa.Table,
    features: Sequence[str],
    verdict: Mapping[str, Any],
    max_rows: int,
    seed: int = 7,
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
    """
    from evidently import Report
    from evidently.presets import DataDriftPreset

    chosen = [name for name in features if name.isidentifier()][:10]  # Evidently does not escape column names
    samples = [_sample(rows.select(chosen), max_rows, seed) for rows in (current, reference)]
    snapshot = Report([DataDriftPreset()]).run(samples[0].to_pandas(), samples[1].to_pandas())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    snapshot.save_html(str(temporary))
    page = temporary.read_text(encoding="utf-8")
    temporary.write_text(page.replace(MARK, MARK + _head(verdict, max_rows), 1), encoding="utf-8")
    temporary.replace(path)


def _sample(rows: pa.Table, max_rows: int, seed: int) -> pa.Table:
    if rows.num_rows <= max_rows:
        return rows
    picked = np.random.default_rng(seed).choice(rows.num_rows, max_rows, replace=False)
    return rows.take(pa.array(np.sort(picked)))


def _head(verdict: Mapping[str, Any], max_rows: int) -> str:
    score = verdict.get("score") or {}
    lines = [
        f"Verdict: {verdict['tier']}. {verdict['sentence']}",
        f"Score: effect {score.get('effect')}, p {score.get('p')}, threshold {score.get('alpha')}, "
        f"ordinary {score.get('ordinary')}; reference: {verdict['batches']} training partition(s) of "
        f"generation {verdict['generation']}.",
        f"Drawn from samples of at most {max_rows} rows. The verdict above was decided on all rows; Evidently's own "
        "tests below decide nothing.",
    ]
    body = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return f'<div style="font:16px sans-serif;padding:16px;border-bottom:2px solid #888">{body}</div>'
