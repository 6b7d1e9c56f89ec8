"""What every task and DAG has in common: owners, retries, limits, tags, and the partition param."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from incumbent.config import Model
from incumbent.errors import PipelineError, UnavailableError
from incumbent.partitions import KEY_PATTERNS, example_key
from incumbent_airflow.lineage import told_of

START_DATE = datetime(2013, 1, 1)
RUN_TIMEOUT = timedelta(hours=6)
TASK_TIMEOUT = timedelta(hours=1)
MAX_ACTIVE_RUNS = 4

# A broken feed, contract or model does not mend itself by trying again; a service that is away may.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=UnavailableError, action=RetryAction.RETRY, retry_delay=timedelta(seconds=30)),
        RetryRule(exception=PipelineError, action=RetryAction.FAIL, reason="the same input fails again"),
    ],
    default=RetryAction.DEFAULT,
)


class Stage(StrEnum):
    """The tags that say which stage a DAG runs."""

    ARRIVE = "arrive"
    VALIDATE = "validate"
    FEATURES = "features"
    SCORE = "score"
    PUBLISH = "publish"
    MONITOR = "monitor"
    TRAIN = "train"
    PROMOTE = "promote"
    MAINTENANCE = "maintenance"


def default_args(owner: str) -> dict[str, Any]:
    """Return the arguments of every task."""
    return {
        "owner": owner,
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_policy": RETRY_POLICY,
        "execution_timeout": TASK_TIMEOUT,
    }


def dag_args(model: Model, stage: Stage, doc: str | None, **overrides: Any) -> dict[str, Any]:
    """Return the arguments of a model's DAG; everything that Airflow would guess is set."""
    arguments: dict[str, Any] = {
        "start_date": START_DATE,
        "catchup": False,
        "max_active_runs": MAX_ACTIVE_RUNS,
        "dagrun_timeout": RUN_TIMEOUT,
        "default_args": default_args(model.owner) | told_of(),
        "tags": [f"model:{model.name}", f"stage:{stage}", f"owner:{model.owner}"],
        "description": (doc or "").partition("\n")[0],
        "doc_md": "\n\n".join(filter(None, [model.description, doc])),
        "params": {"partition": partition_param(model)},
        "is_paused_upon_creation": False,
    }
    return arguments | overrides


def partition_param(model: Model) -> Param:
    """Return the form field that names a partition for runs that are started by hand."""
    return Param(
        None,
        type=["null", "string"],
        pattern=f"^{KEY_PATTERNS[model.grain]}$",
        title="Partition",
        description=f"Partition of the {model.grain}, such as {example_key(model.grain)}. "
        "Leave it empty for runs that an asset starts.",
    )
