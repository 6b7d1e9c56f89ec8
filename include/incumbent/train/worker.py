"""What a Ray Train worker does with an order: fit, and leave the result beside the checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from incumbent.config import Model
from incumbent.errors import PipelineError
from incumbent.records import Snapshot, canonical_json
from incumbent.store import Store
from incumbent.train.checkpoints import Progress
from incumbent.train.work import Work


def fit_order(order: dict[str, Any], report: Callable[[Progress], None]) -> None:
    """Fit what an order names and write `result.json`; an error that would only repeat is told in it.

    Args:
        order: Store, model, snapshot and device, as `ray_job` wrote them.
        report: Called after each checkpoint.
    """
    model = Model.model_validate(order["model"])
    store = Store.at(order["store"], Path(order["work"])).model(model.name)
    work = Work(model, store.records.get(Snapshot, order["snapshot"]), order["device"])
    try:
        fitted, encoder, rows = work.run(store, report)
    except PipelineError as error:  # told and not raised: Ray Train would only try the same again
        _write(work.checkpoints(store).folder, {"error": _fields(error)})
        return
    result = {
        "rounds": fitted.rounds,
        "checkpoints": fitted.checkpoints,
        "resumed_from": fitted.resumed_from,
        "features": list(encoder.features),
        "categories": {name: list(levels) for name, levels in encoder.categories.items()},
        "rows": rows,
    }
    _write(work.checkpoints(store).folder, result)


def _fields(error: PipelineError) -> dict[str, Any]:
    return {
        "what": error.what,
        "where": error.where,
        "expected": None if error.expected is None else str(error.expected),
        "found": None if error.found is None else str(error.found),
        "next_step": error.next_step,
    }


def _write(folder: Path, result: dict[str, Any]) -> None:
    temporary = folder / "result.tmp"
    temporary.write_bytes(canonical_json(result))
    temporary.replace(folder / "result.json")
