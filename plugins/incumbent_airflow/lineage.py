"""Tells OpenLineage what a task has committed, when the task is over: one place for all of them, and off by default.

Not Airflow's own listener: it takes 0.3 s of each task, and knows what a task declares, not what it committed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from incumbent.lineage.tell import Told
    from incumbent_airflow.runtime import Runtime

LOG = logging.getLogger(__name__)
IN_A_TASK_S, IN_MAINTENANCE_S = 3.0, 60.0
ENDS = ("on_success_callback", "on_failure_callback", "on_skipped_callback")


def is_told() -> bool:
    """Return whether anybody is told, without reading more than one variable."""
    return bool(os.environ.get("INCUMBENT_OPENLINEAGE"))


def told_of() -> dict[str, Any]:
    """Return the arguments that make tasks tell what they have committed; none where nobody is told."""
    return dict.fromkeys(ENDS, after_task) if is_told() else {}


def after_task(context: Any) -> None:
    """Tell what the task's DAG commits; a task neither fails nor waits long for it."""
    try:
        model, _, name = context["dag"].dag_id.partition(".")
        if kinds := _committed_by(name.partition("_")[0]):
            LOG.info("lineage: %s", tell_now(_opened(model), IN_A_TASK_S, kinds).message)
    except Exception as error:  # also of a model folder that was taken away meanwhile: the task is over
        LOG.warning("lineage: not told (%s); incumbent.maintenance tells it", type(error).__name__)


def tell_waiting(model: str) -> str:
    """Tell what got lost, and return a sentence; a place that is away is no failure of maintenance."""
    return tell_now(_opened(model), IN_MAINTENANCE_S).message


def tell_now(runtime: Runtime, seconds: float, kinds: Collection[str] = ()) -> Told:
    """Tell what was not told yet, for so long at the most; of some kinds of things alone, if any are named."""
    from incumbent.lineage.committed import KINDS, Committed
    from incumbent.lineage.naming import naming_of
    from incumbent.lineage.tell import tell
    from incumbent.lineage.transport import transport_to

    transport = transport_to(runtime.settings.lineage, os.environ.get("INCUMBENT_OPENLINEAGE_TOKEN", ""))
    naming = naming_of(runtime.settings, runtime.model, runtime.store)
    return tell(Committed(runtime.store, naming), transport, seconds, kinds or KINDS)


def _committed_by(dag: str) -> Collection[str]:
    """Return the kinds of things that tasks of a DAG commit: to look for all of them takes time in a bucket."""
    from incumbent.lineage.committed import FEATURES, MODELS, PREDICTIONS, TAKEN_IN
    from incumbent.publish.due import KIND
    from incumbent.records import Hold, Promotion

    return {
        "ingest": TAKEN_IN, "features": (FEATURES, Hold.kind), "score": (PREDICTIONS,), "publish": (KIND,),
        "train": (FEATURES, *MODELS), "monitor": (Promotion.kind,), "rollback": (Promotion.kind, PREDICTIONS),
    }.get(dag, ())  # fmt: skip


def _opened(model: str) -> Runtime:
    from incumbent_airflow.runtime import Runtime

    return Runtime.open(model)
