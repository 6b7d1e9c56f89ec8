"""A training's run in MLflow while it is under way: its page, and a point on its curves now and then.

Over MLflow's REST API, for importing MLflow takes seconds. Nothing waits for it: a server that is away costs a few
seconds once, and the reconciler writes down what is missing when it is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from incumbent.promote.mlflow_client import REQUEST
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)
KIND = "mlflow_runs"
TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Run:
    """A run of MLflow.

    Attributes:
        experiment: Its experiment's id.
        run: Its id.
    """

    experiment: str
    run: str

    def page(self, uri: str) -> str:
        """Return its address for people: in MLflow's pages for models, not in those for language models.

        >>> Run("3", "ab12").page("http://localhost:5000/")
        'http://localhost:5000/#/experiments/3/runs/ab12?workflowType=machine_learning'
        """
        return f"{uri.rstrip('/')}/#/experiments/{self.experiment}/runs/{self.run}?workflowType=machine_learning"


def open_run(store: ModelStore, uri: str, name: str, env: Mapping[str, str]) -> Run | None:
    """Return the run of a training, made once; None while MLflow is away, or is no server.

    Args:
        store: The model's store; remembers which run it is.
        uri: Tracking server.
        name: Of the training.
        env: Has what MLflow's own client takes for credentials.
    """
    if (known := known_run(store, name)) is not None or not uri.startswith(("http://", "https://")):
        return known
    try:
        with _client(uri, env) as client:
            experiment = _experiment(client, f"incumbent/{store.name}")
            found = _find(client, experiment, name) or _create(client, experiment, name)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        LOG.warning("MLflow at %s has no run of this training yet: %s", uri, error)
        return None
    return Run(**store.records.claim(KIND, name, asdict(Run(experiment, found))))


def known_run(store: ModelStore, name: str) -> Run | None:
    """Return the run that was made for a training, or None."""
    return Run(**store.records.get_plain(KIND, name)) if store.records.has(KIND, name) else None


def log_live(uri: str, run: Run, values: Mapping[str, float], step: int, env: Mapping[str, str]) -> bool:
    """Put a point on the run's curves; return whether MLflow took it."""
    now = int(time.time() * 1000)
    metrics = [{"key": name, "value": value, "timestamp": now, "step": step} for name, value in values.items()]
    try:
        with _client(uri, env) as client:
            _post(client, "runs/log-batch", {"run_id": run.run, "metrics": metrics})
    except (httpx.HTTPError, ValueError) as error:
        LOG.warning("MLflow at %s took no point of the training's curves: %s", uri, error)
        return False
    return True


def _client(uri: str, env: Mapping[str, str]) -> httpx.Client:
    headers, basic = {}, None
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    elif user := env.get("MLFLOW_TRACKING_USERNAME"):
        basic = httpx.BasicAuth(user, env.get("MLFLOW_TRACKING_PASSWORD", ""))
    return httpx.Client(base_url=f"{uri.rstrip('/')}/api/2.0/mlflow/", headers=headers, auth=basic, timeout=TIMEOUT_S)


def _experiment(client: httpx.Client, name: str) -> str:
    answer = client.get("experiments/get-by-name", params={"experiment_name": name})
    if answer.status_code == httpx.codes.NOT_FOUND:
        made = client.post("experiments/create", json={"name": name})
        if made.is_success:
            return str(made.json()["experiment_id"])
        answer = client.get("experiments/get-by-name", params={"experiment_name": name})  # another was first
    answer.raise_for_status()
    return str(answer.json()["experiment"]["experiment_id"])


def _find(client: httpx.Client, experiment: str, name: str) -> str | None:
    asked = {"experiment_ids": [experiment], "filter": f"tags.`{REQUEST}` = '{name}'", "max_results": 1}
    runs = _post(client, "runs/search", asked).get("runs", [])
    return str(runs[0]["info"]["run_id"]) if runs else None


def _create(client: httpx.Client, experiment: str, name: str) -> str:
    asked = {
        "experiment_id": experiment,
        "run_name": name,
        "start_time": int(time.time() * 1000),
        "tags": [{"key": REQUEST, "value": name}],
    }
    return str(_post(client, "runs/create", asked)["run"]["info"]["run_id"])


def _post(client: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
