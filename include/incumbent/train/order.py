"""What a job is told: all of it lies in the store, where every node of a cluster finds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import incumbent
from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.functions import Functions
from incumbent.records import Snapshot
from incumbent.sensitive import Sensitive
from incumbent.store import ModelStore, Store
from incumbent.train.checkpoints import Checkpoints
from incumbent.train.work import Work

ORDER = "order.json"


def told_of(work: Work) -> dict[str, Any]:
    """Return what `work_of` makes the same work of, but for the text of a training script."""
    return {
        "incumbent": incumbent.__version__,
        "model": work.model.model_dump(mode="json"),
        "sensitive": asdict(work.model.sensitive),
        "model.py": work.model.functions.text,
        "snapshot": work.snapshot.id,
        "workers": work.workers,
        "prior": dict(work.prior),
        "base": work.base,
        "since": work.since,
        **({"proof": work.proof} if work.proof else {}),
    }


def write_order(store: ModelStore, work: Work) -> str:
    """Write down what is to be fitted, for whatever job comes; return what a command line says of it."""
    checkpoints = work.checkpoints(store)
    checkpoints.say(ORDER, told_of(work))
    root = store.blobs.url.removesuffix(f"/{store.name}")
    return json.dumps({"store": root, "model": store.name, "work": work.id})


def read_order(command: str, scratch: Path) -> tuple[ModelStore, Work]:
    """Return the store and the work that a command line names.

    Args:
        command: What `write_order` returned.
        scratch: Folder of this node for what is no promise.

    Raises:
        TrainingError: This node has another release, or the order is gone.
    """
    names = json.loads(command)
    store = Store.at(names["store"], scratch).model(names["model"])
    told = Checkpoints(store.blobs, names["work"]).said(ORDER)
    if told is None:
        raise TrainingError(
            "the order of a training is gone",
            where=f"{names['store']}, model {names['model']}, work {names['work'][:16]}",
            expected="the order that was written before the job was submitted",
            next_step="see that every node of the cluster reaches the store at this address; clear the task",
        )
    if told["incumbent"] != incumbent.__version__:
        raise TrainingError(
            "this node of the cluster has another release of Incumbent",
            where="the Python of the Ray job",
            expected=told["incumbent"],
            found=incumbent.__version__,
            next_step="install the same wheel on every node, or set INCUMBENT_RAY_PYTHON",
        )
    return store, work_of(store, told)


def work_of(store: ModelStore, told: Mapping[str, Any]) -> Work:
    """Return the work that an order tells of."""
    plain = {name: {key: tuple(value) for key, value in each.items()} for name, each in told["sensitive"].items()}
    model = Model.model_validate(told["model"]).with_sensitive(Sensitive(**plain))
    model = model.with_functions(Functions.of(told["model.py"]))
    snapshot = store.records.get(Snapshot, told["snapshot"])
    proof = told.get("proof", "")
    return Work(model, snapshot, told["workers"], told["prior"], told["base"], told["since"], proof)
