"""What the gates that a folder asks for look at, beside the predictions of the gate rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ModelError
from incumbent.evaluate.behaviour import probe
from incumbent.evaluate.contest import Contest, Floats
from incumbent.evaluate.speed import GateTiming, measured
from incumbent.functions import is_gate
from incumbent.records import ModelVersion
from incumbent.store import ModelStore


def with_candidate(
    contest: Contest,
    store: ModelStore,
    model: Model,
    version: ModelVersion,
    request: str,
    predict: Callable[[pa.Table], Floats],
) -> Contest:
    """Return a contest with what its gates look at of the candidate itself: its file, its speed, its behaviour.

    Args:
        contest: Has the gate rows.
        store: The model's store.
        model: Its configuration.
        version: The candidate.
        request: Retrain request id.
        predict: The candidate's predictions of rows of its definition.
    """
    if contest.rows is None:
        return contest
    limits, rows = model.gates, contest.rows
    megabytes = len(store.objects.get(version.digest)) / 1e6 if limits.max_megabytes is not None else None
    ms = _ms(store, version, request, predict, rows) if limits.max_ms_per_1000_rows is not None else None
    probes = {each.name: probe(each, rows, predict) for each in limits.behaviour}
    return replace(contest, megabytes=megabytes, ms_per_1000_rows=ms, probes=probes)


def own_gates(store: ModelStore, model: Model) -> dict[str, Any]:
    """Return the folder's own gates, as fields of a contest; their text is kept beside the report."""
    functions = model.functions
    names = sorted(name for name in functions.defined if is_gate(name))
    if not names:
        return {}
    called = {name: partial(functions.call, name, error=ModelError, where="EVALUATE, model.py") for name in names}
    return {"own": called, "own_text": store.objects.put(functions.text.encode())}


def _ms(
    store: ModelStore, version: ModelVersion, request: str, predict: Callable[[pa.Table], Floats], rows: pa.Table
) -> float | None:
    """Return how long a thousand rows take, as it was measured first: a task that is tried again judges the same."""
    name = f"{request}/{version.digest[:16]}"
    if not store.records.has(GateTiming.kind, name):
        found = measured(version.digest, request, predict, rows)
        if found is None:
            return None
        store.records.claim(GateTiming.kind, name, found.to_json())
    return store.records.get(GateTiming, name).ms_per_1000_rows
