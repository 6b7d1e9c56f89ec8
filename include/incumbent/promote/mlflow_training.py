"""What a training was, in MLflow: every training, promoted or not."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from incumbent.definition import files_of
from incumbent.promote.mlflow_client import DIGEST, REQUEST, connect, experiment_of, one_at_a_time
from incumbent.records import ModelVersion, Training, TrainingCost, canonical_json
from incumbent.store import ModelStore

LOGGED = "mlflow_logged"
FOLDER = "training"
BATCH = 500  # MLflow takes at most a thousand metrics, or a hundred parameters, at once
PARAMETERS = 100
LONGEST = 230  # of 250 letters that a metric's name may have


def unlogged(store: ModelStore) -> list[str]:
    """Return the names of the trainings that MLflow does not know in full."""
    done = set(store.records.names(LOGGED))
    return [name for name in store.records.names(Training.kind) if name not in done]


def log_trainings(store: ModelStore, tracking_uri: str) -> list[str]:
    """Write down the trainings that MLflow does not know in full; return their names.

    Raises:
        UnavailableError: MLflow does not answer. What was done so far stands.
    """
    waiting, done = unlogged(store), []
    if waiting:
        with connect(tracking_uri) as client, one_at_a_time(store):
            for name in waiting:
                log_training(client, store, name)
                done.append(name)
    return done


def log_training(client: Any, store: ModelStore, name: str) -> None:
    """Write a training's parameters, curves, numbers and files into its run; all of it may be done twice."""
    from mlflow.entities import Metric, Param

    training = store.records.get(Training, name)
    version = store.records.get(ModelVersion, training.version)
    run = _run(client, experiment_of(client, store.name), name)
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value, step in _metrics(store, training, version)]
    params = [Param(name, str(value)[:500]) for name, value in _params(training, version).items()]
    for start in range(0, len(params), PARAMETERS):
        client.log_batch(run, params=params[start : start + PARAMETERS])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[start : start + BATCH])
    _files(client, run, store, training, version)
    client.set_tag(run, DIGEST, version.digest)
    client.set_tag(run, "incumbent.snapshot", version.snapshot)
    client.set_tag(run, "incumbent.definition", version.definition)
    client.set_terminated(run, "FINISHED")
    store.records.claim(LOGGED, name, {"run": run})


def _run(client: Any, experiment: str, name: str) -> str:
    """Return the run of a training: the one that was opened when it began, or a new one."""
    found = client.search_runs([experiment], f"tags.`{REQUEST}` = '{name}'", max_results=1)
    made = found[0] if found else client.create_run(experiment, tags={REQUEST: name}, run_name=name)
    return str(made.info.run_id)


def _params(training: Training, version: ModelVersion) -> dict[str, Any]:
    about = {name: getattr(training, name) for name in ("launcher", "workers", "device", "layout", "resumed_from")}
    rows = {"rounds": version.rounds, "train_rows": version.train_rows, "train_until": version.train_until}
    code = {f"code.{name}": value for name, value in version.code.items()}
    return {
        "estimator": version.estimator,
        "origin": training.origin,
        "exact_resume": training.exact_resume,
        **about,
        **rows,
        **version.params,
        **code,
    }


def _metrics(store: ModelStore, training: Training, version: ModelVersion) -> Iterator[tuple[str, float, int]]:
    """Yield each number with its round."""
    metric = training.metric
    for rounds, score in training.scores.get("train", {}).items():
        yield f"train.{metric}", float(score), int(rounds)
    for rounds, score in enumerate(training.scores.get("validation", ()), start=1):
        yield f"validation.{metric}", float(score), rounds
    for name, share in version.importance.items():
        yield f"importance.{_plain(name)}", float(share), 0
    yield "checkpoints", float(training.checkpoints), 0
    if store.records.has(TrainingCost.kind, training.name):
        cost = store.records.get(TrainingCost, training.name)
        yield "core_seconds", cost.core_seconds, 0
        yield "gpu_seconds", cost.gpu_seconds, 0
        for step, seconds in cost.seconds.items():
            yield f"seconds.{step}", seconds, 0
        if cost.price is not None:
            yield "price", cost.price, 0


def _files(client: Any, run: str, store: ModelStore, training: Training, version: ModelVersion) -> None:
    cost: Mapping[str, Any] = {}
    if store.records.has(TrainingCost.kind, training.name):
        cost = store.records.get(TrainingCost, training.name).to_json()
    files = {
        "manifest.json": canonical_json(version.to_json()),
        "training.json": canonical_json(training.to_json()),
        "cost.json": canonical_json(cost),
        **files_of(store.objects.get(version.definition).decode()),
    }
    if version.functions:  # mostly the file that the definition has too
        files["model.py"] = store.objects.get(version.functions)
    if packages := version.code.get("packages"):
        files["packages.txt"] = store.objects.get(packages)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        client.log_artifacts(run, folder, FOLDER)


def _plain(name: str) -> str:
    """Return a feature's name as MLflow takes names of metrics.

    >>> _plain("dep. hour")
    'dep. hour'
    >>> _plain("share (%)")
    'share (_)'
    >>> len(_plain("x" * 300))
    230
    """
    return "".join(letter if letter.isalnum() or letter in "_-. /:()" else "_" for letter in name[:LONGEST])
