"""Speak to MLflow: fail fast when it is away, and log a version's files as plain files.

Importing MLflow takes seconds, so it happens inside functions, and only after the server has answered.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from incumbent.definition import files_of
from incumbent.errors import UnavailableError
from incumbent.records import GateReport, ModelVersion, Promotion, canonical_json
from incumbent.store import ModelStore

PROBE_S = 3.0
# Retries are the reconciler's: MLflow's own (7, doubling, 120 s each) would hold a task for an hour,
# and repeat a creation whose reply was lost without looking it up first.
HTTP = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}
FOLDER = "model"
CARDS = "cards"  # records of what lies in the store by content: see incumbent.card.keep
COMPLETE = "incumbent.complete"
DIGEST = "incumbent.digest"
REQUEST = "incumbent.request"
SERVER_ERROR = 500
EXISTS = "RESOURCE_ALREADY_EXISTS"


@contextmanager
def connect(tracking_uri: str) -> Iterator[Any]:
    """Yield an MLflow client; whatever it cannot reach becomes an UnavailableError.

    Raises:
        UnavailableError: MLflow does not answer, or stops answering on the way.
    """
    _probe(tracking_uri)
    before = {name: os.environ.get(name) for name in HTTP}
    os.environ.update(HTTP)
    try:
        import requests
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        try:
            yield MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        except (MlflowException, requests.RequestException) as error:
            raise _unavailable(tracking_uri, error) from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def is_away(error: Exception) -> bool:
    """Return whether a call failed for want of MLflow, and not because MLflow said no to it."""
    from mlflow.exceptions import MlflowException, RestException

    if isinstance(error, RestException):
        return bool(error.get_http_status_code() >= SERVER_ERROR)
    return isinstance(error, MlflowException | OSError)


@contextmanager
def one_at_a_time(store: ModelStore) -> Iterator[None]:
    """Keep two reconcilers of one store apart: MLflow itself would take both their versions."""
    store.work.mkdir(parents=True, exist_ok=True)
    with (store.work / ".registry.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def log_version(client: Any, store: ModelStore, model: str, entry: Promotion, tags: Mapping[str, str]) -> Any:
    """Register one version of the ledger: a run with its files and numbers, then the model version.

    Args:
        client: MLflow client.
        store: The model's store.
        model: Name of the registered model.
        entry: The ledger entry that seated the version first.
        tags: Tags of the registered version.
    """
    version = store.records.get(ModelVersion, entry.version)
    run = _run(client, experiment_of(client, model), version, entry)
    if run.data.tags.get(COMPLETE) != "true":
        _fill(client, run.info.run_id, store, version, entry)
    _ensure_model(client, model)
    return client.create_model_version(
        model,
        f"runs:/{run.info.run_id}/{FOLDER}",
        run_id=run.info.run_id,
        tags=dict(tags),
        description=entry.reason,
        await_creation_for=0,
    )


def experiment_of(client: Any, model: str) -> str:
    """Return the id of a model's experiment, which is made if it is not there."""
    name = f"incumbent/{model}"
    known = client.get_experiment_by_name(name)
    number = known.experiment_id if known else _create(client.create_experiment, name)
    return str(client.get_experiment_by_name(name).experiment_id if number is None else number)


def _run(client: Any, number: str, version: ModelVersion, entry: Promotion) -> Any:
    """Return the run of a version, made once: its training's, or one that the tag finds again after a lost reply."""
    runs = client.search_runs([number], f"tags.`{DIGEST}` = '{version.digest}'", max_results=1)
    if runs:
        return runs[0]
    tags = {DIGEST: version.digest, "incumbent.gate_report": entry.gate_report, "incumbent.snapshot": version.snapshot}
    return client.create_run(number, tags=tags, run_name=f"generation {entry.generation}")


def _fill(client: Any, run_id: str, store: ModelStore, version: ModelVersion, entry: Promotion) -> None:
    """Log files, parameters and numbers; all of it may be done twice, and the tag comes last."""
    report = store.records.get(GateReport, entry.gate_report)
    files = {
        "model.ubj": store.objects.get(version.digest),
        **files_of(store.objects.get(version.definition).decode()),
        "manifest.json": canonical_json(version.to_json()),
        "gate_report.json": canonical_json(report.to_json()),
        **_card(store, version),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        client.log_artifacts(run_id, folder, FOLDER)
    given = {"rounds": version.rounds, "train_rows": version.train_rows, "train_until": version.train_until}
    for name, value in {**given, **version.params}.items():
        client.log_param(run_id, name, str(value)[:500])
    for gate in report.gates:
        for name, value in gate.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                client.log_metric(run_id, f"{gate['gate']}.{name}", float(value))
    client.set_tag(run_id, COMPLETE, "true")
    client.set_terminated(run_id, "FINISHED")


def _card(store: ModelStore, version: ModelVersion) -> dict[str, bytes]:
    """Return the newest card that was written down of a version; nothing where none was."""
    names = store.records.names(CARDS, f"{version.digest}/")
    kept = store.records.get_plain(CARDS, names[-1]) if names else {}
    known = {"card.md": "markdown", "card.html": "page"}
    return {name: store.objects.get(kept[field]) for name, field in known.items() if field in kept}


def _ensure_model(client: Any, model: str) -> None:
    from mlflow.exceptions import RestException

    try:
        client.get_registered_model(model)
    except RestException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        _create(client.create_registered_model, model)


def _create(make: Callable[[str], Any], name: str) -> Any:
    """Make something that another process may make at the same time; None if that one was first."""
    from mlflow.exceptions import RestException

    try:
        return make(name)
    except RestException as error:
        if error.error_code != EXISTS:
            raise
        return None


def _probe(uri: str) -> None:
    """Ask an HTTP server for its health before anything heavy is imported."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=PROBE_S):  # noqa: S310 - http(s) only
            return
    except urllib.error.HTTPError as error:
        if error.code < SERVER_ERROR:
            return  # it answers: a proxy that asks for credentials is a server too
        raise _unavailable(uri, error) from error
    except (OSError, ValueError) as error:
        raise _unavailable(uri, error) from error


def _unavailable(uri: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        "MLflow does not answer",
        where=uri,
        found=" ".join(str(error).split())[:300],
        next_step="nothing is lost: the ledger is complete, and the next reconciliation repairs MLflow",
    )
