"""A week-grained model whose features change, with MLflow down meanwhile, and a rollback of it."""

from typing import Any

import pyarrow as pa
import pytest
from mlflow.tracking import MlflowClient
from tests.integration.conftest import Stack

from incumbent.embedded import processes

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
NAME = "air_weekly"
WEEKS = ("2013-01-07", "2013-01-14", "2013-01-21")


def scores(running: Stack, *columns: str) -> pa.Table:
    return running.store(NAME).predictions.read([WEEKS[2]], columns or None)


def alias(running: Stack) -> Any:
    client = MlflowClient(running.settings.mlflow_uri)
    return client.get_model_version_by_alias(NAME, "champion")


def test_weeks_come_through_the_same_dags(running: Stack) -> None:
    for week in WEEKS[:2]:
        running.settle(NAME, week, "flights", "outcomes")
    running.settle(NAME, WEEKS[2], "flights")
    champion = running.store(NAME).champion()
    assert champion is not None
    assert (champion.generation, champion.partition) == (1, WEEKS[1])
    assert scores(running, "generation")["generation"].unique().to_pylist() == [1]
    assert alias(running).tags["incumbent.digest"] == champion.version


def test_a_better_definition_is_promoted_while_mlflow_is_down(running: Stack) -> None:
    store, settings = running.store(NAME), running.settings
    before = alias(running).version
    processes.stop([found for found in processes.recorded(settings.run) if found.name == "mlflow"], settings.run)
    path = settings.models / NAME / "features.sql"
    path.write_text(path.read_text().replace("    carrier AS airline,", "    dest, distance,\n    carrier AS airline,"))
    run = running.run(f"{NAME}.train", {"partition": WEEKS[1], "reason": "distance and destination"})
    (register,) = [task for task in running.api.tasks(run) if task["task_id"] == "register"]
    assert register["state"] == "success", "MLflow being down fails nothing"
    champion = store.champion()
    assert champion is not None
    assert (champion.generation, champion.action) == (2, "promote")
    rescored = running.run(f"{NAME}.score", {"partition": WEEKS[2], "generation": 2})
    assert rescored["state"] == "success"
    assert scores(running, "generation")["generation"].unique().to_pylist() == [2]
    running.up()
    assert alias(running).version == before, "nobody has told MLflow yet"
    running.run("incumbent.maintenance")
    assert alias(running).tags["incumbent.digest"] == champion.version


def test_a_rollback_brings_back_the_same_predictions(running: Stack) -> None:
    store = running.store(NAME)
    running.run(f"{NAME}.score", {"partition": WEEKS[2], "generation": 1})
    before = scores(running)
    running.run(f"{NAME}.score", {"partition": WEEKS[2], "generation": 2})
    assert not scores(running)["prediction"].equals(before["prediction"])
    running.run(f"{NAME}.rollback", {"generation": 1, "reason": "the test wants the first one back"})
    champion = store.champion()
    assert champion is not None
    assert (champion.generation, champion.version) == (3, store.promotion(1).version)
    running.run(f"{NAME}.score", {"partition": WEEKS[2], "generation": 3})
    after = scores(running)
    assert after["generation"].unique().to_pylist() == [3]
    assert after.drop_columns(["generation"]).equals(before.drop_columns(["generation"])), "bit for bit"
    assert alias(running).tags["incumbent.digest"] == champion.version
