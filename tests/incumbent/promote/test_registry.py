"""MLflow follows the ledger: late, repaired, and never twice. Against a real server."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from tests.incumbent.promote.conftest import free_port

from incumbent.errors import UnavailableError
from incumbent.promote import champion, promote, reconcile, rollback
from incumbent.promote.registry import ALIAS, DIGEST, GENERATION
from incumbent.records import ModelVersion, digest_of

pytestmark = pytest.mark.mlflow


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a registered model of this test's own; the server is shared."""
    return request.node.name


def client_of(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def versions(uri: str, name: str) -> list[Any]:
    return sorted(client_of(uri).search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))


def test_a_server_that_is_down_fails_fast_and_the_promotion_stands(seat: Any, name: str) -> None:
    promoted = promote(seat.store, seat.report("a"), "cold start", "2013-01").promotion
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="MLflow does not answer"):
        reconcile(seat.store, name, f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 5
    assert champion(seat.store) == promoted


def test_a_server_that_accepts_and_says_nothing_fails_fast(seat: Any, name: str) -> None:
    promote(seat.store, seat.report("a"), "cold start", "2013-01")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            reconcile(seat.store, name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - started < 5


def test_an_empty_ledger_asks_nothing_of_mlflow(seat: Any, name: str) -> None:
    assert reconcile(seat.store, name, "http://127.0.0.1:9").registered == ()


def test_late_generations_are_registered_once_with_their_files(
    seat: Any, server: str, name: str, tmp_path: Path
) -> None:
    first = promote(seat.store, seat.report("a"), "cold start", "2013-01").promotion
    second = promote(seat.store, seat.report("b"), "better", "2013-02").promotion
    card = {"markdown": seat.store.objects.put(b"# b"), "page": seat.store.objects.put(b"<!doctype html>")}
    seat.store.records.put_plain("cards", f"{second.version}/seat-000002", card)
    done = reconcile(seat.store, name, server)
    assert done.registered == (first.version, second.version)
    assert (done.alias_moved, done.problems) == (True, ())
    again = reconcile(seat.store, name, server)
    assert (again.registered, again.alias_moved, again.problems) == ((), False, ())

    client, (one, two) = client_of(server), versions(server, name)
    assert [(v.tags[DIGEST], v.tags[GENERATION]) for v in (one, two)] == [(first.version, "1"), (second.version, "2")]
    assert client.get_model_version_by_alias(name, ALIAS).version == two.version
    (tmp_path / "two").mkdir()
    folder = Path(client.download_artifacts(one.run_id, "model", str(tmp_path)))
    assert sorted(path.name for path in folder.iterdir()) == [
        "features.sql",
        "gate_report.json",
        "manifest.json",
        "model.ubj",
    ]
    assert digest_of((folder / "model.ubj").read_bytes()) == first.version
    carded = Path(client.download_artifacts(two.run_id, "model", str(tmp_path / "two")))
    assert (carded / "card.md").read_bytes() == b"# b"
    assert (carded / "card.html").read_bytes() == b"<!doctype html>"
    run = client.get_run(one.run_id)
    assert run.data.params["max_depth"] == "6"
    assert run.data.metrics["superiority.estimate"] == 0.012
    assert run.info.status == "FINISHED"


def test_an_alias_moved_by_hand_is_restored_and_reported(seat: Any, server: str, name: str) -> None:
    for label, partition in (("a", "2013-01"), ("b", "2013-02")):
        promote(seat.store, seat.report(label), "x", partition)
    reconcile(seat.store, name, server)
    client = client_of(server)
    client.set_registered_model_alias(name, ALIAS, "1")
    moved = reconcile(seat.store, name, server)
    assert moved.alias_moved
    assert moved.problems == ("alias 'champion' pointed at version 1; restored to version 2",)
    assert str(client.get_model_version_by_alias(name, ALIAS).version) == "2"
    client.delete_registered_model_alias(name, ALIAS)
    assert reconcile(seat.store, name, server).problems == ("alias 'champion' was deleted; restored to version 2",)
    assert str(client.get_model_version_by_alias(name, ALIAS).version) == "2"


def test_a_rollback_moves_the_alias_and_makes_no_version(seat: Any, server: str, name: str) -> None:
    for label, partition in (("a", "2013-01"), ("b", "2013-02")):
        promote(seat.store, seat.report(label), "x", partition)
    reconcile(seat.store, name, server)
    rollback(seat.store, 1, "complaints")
    back = reconcile(seat.store, name, server)
    assert (back.registered, back.alias_moved, back.problems) == ((), True, ())
    assert str(client_of(server).get_model_version_by_alias(name, ALIAS).version) == "1"
    assert [version.tags[GENERATION] for version in versions(server, name)] == ["3", "2"]


@pytest.mark.parametrize("call", ["create_model_version", "create_run", "create_registered_model", "log_artifacts"])
def test_a_lost_reply_makes_no_second_version(
    seat: Any, server: str, name: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    name = f"lost_{call}"
    promoted = promote(seat.store, seat.report("a"), "cold start", "2013-01").promotion
    real = getattr(MlflowClient, call)

    def done_but_unheard(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise MlflowException("connection reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, done_but_unheard)
        with pytest.raises(UnavailableError, match="MLflow does not answer"):
            reconcile(seat.store, name, server)
    repaired = reconcile(seat.store, name, server)
    assert repaired.problems == ()
    assert [version.tags[DIGEST] for version in versions(server, name)] == [promoted.version]
    client = client_of(server)
    experiment = client.get_experiment_by_name(f"incumbent/{name}")
    assert len(client.search_runs([experiment.experiment_id])) == 1
    assert client.get_model_version_by_alias(name, ALIAS).tags[DIGEST] == promoted.version


def test_one_version_without_its_file_does_not_keep_the_others_out(seat: Any, server: str, name: str) -> None:
    first = promote(seat.store, seat.report("a"), "cold start", "2013-01").promotion
    second = promote(seat.store, seat.report("b"), "better", "2013-02").promotion
    seat.store.objects.blobs.path(
        seat.store.objects.key(seat.store.records.get(ModelVersion, first.version).digest)
    ).unlink()
    done = reconcile(seat.store, name, server)
    assert done.registered == (second.version,)
    assert len(done.problems) == 1 and "object is missing" in done.problems[0]
    assert client_of(server).get_model_version_by_alias(name, ALIAS).tags[DIGEST] == second.version
