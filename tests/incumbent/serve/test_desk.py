"""Requests at the desk: who may ask, which model is meant, what is counted, and who is sent away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_served import SQL, folder_in, online, small

from incumbent.errors import ConfigError
from incumbent.serve.batches import Batches
from incumbent.serve.desk import Desk
from incumbent.serve.openapi import document
from incumbent.serve.refusal import STATUS, Refusal
from incumbent.serve.settings import serve_settings
from incumbent.serve.token import check, token_digest

pytestmark = pytest.mark.unit
ALONE = SQL.replace("count(*) OVER ()", "1")
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens
TOKEN = "0123456789abcdef-token"
ROW = {"shop": "new", "row": 7, "at": "2020-01-09T10:00:00Z", "x": 1.5, "kind": "b"}


def refusal_of(desk: Desk, body: bytes) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        asyncio.run(desk.answer(body))
    return refusal.value


def test_two_models_answer_in_one_process_and_are_counted(tmp_path: Path) -> None:
    models = {}
    for name in ("first", "second"):
        store, folder = small(tmp_path / name, name, ALONE)
        models[name] = online(store, folder, is_only=False)
    desk = Desk(models, "", most=10, together=4)
    desk.refresh()
    key = {"shop": "s", "row": 0}

    async def ask() -> list[dict[str, Any]]:
        rows = ({"model": "first", "row": {**ROW, "row": at}} for at in range(4))
        asked = [*rows, {"model": "second", "row": ROW}, {"model": "second", "key": key}]
        return await asyncio.gather(*(desk.answer(json.dumps(each).encode()) for each in asked))

    found = asyncio.run(ask())
    assert [each["model"] for each in found] == ["first"] * 4 + ["second"] * 2
    assert [each["source"] for each in found] == ["live"] * 5 + ["published"]
    unknown = refusal_of(desk, json.dumps({"model": "third", "key": key}).encode())
    assert (unknown.reason, unknown.status, unknown.expected) == ("unknown_model", 404, "first, second")
    assert refusal_of(desk, json.dumps({"key": key}).encode()).reason == "wrong_request"
    assert refusal_of(desk, b"[1]").reason == "wrong_request"
    assert refusal_of(desk, b"{").reason == "malformed_json"
    assert refusal_of(desk, b"[" * 60_000).reason == "malformed_json"
    assert refusal_of(desk, b'{"model": ["first"]}').reason == "wrong_request"
    text = desk.metrics.text().decode()
    assert 'incumbent_answers_total{model="first",source="live"} 4.0' in text
    assert 'incumbent_refusals_total{model="",reason="unknown_model"} 1.0' in text
    assert 'incumbent_version_info{generation="1",model="second"' in text
    assert 'incumbent_published_rows{model="first"} 200.0' in text
    health = desk.health(None)
    assert (health["status"], sorted(health["models"])) == ("ok", ["first", "second"])


def test_more_rows_than_can_wait_are_sent_away_and_none_is_lost(tmp_path: Path) -> None:
    store, folder = small(tmp_path, sql=ALONE)
    desk = Desk({"small": online(store, folder)}, "", most=3, together=2)

    async def ask() -> list[Any]:
        bodies = [json.dumps({"row": {**ROW, "row": at}}).encode() for at in range(5)]
        return await asyncio.gather(*(desk.answer(body) for body in bodies), return_exceptions=True)

    found = asyncio.run(ask())
    assert [isinstance(each, Refusal) for each in found] == [False, False, False, True, True]
    assert (found[3].reason, found[3].status) == ("busy", 429)
    assert asyncio.run(ask())[0]["source"] == "live", "nobody waits any more"


def test_rows_that_came_while_others_were_scored_are_scored_together() -> None:
    sizes, go_on = list[int](), threading.Event()

    def work(values: Sequence[int]) -> list[int]:
        sizes.append(len(values))
        go_on.wait(10)
        if 13 in values:
            raise ValueError("13")
        return [value * 2 for value in values]

    async def ask() -> list[Any]:
        batches: Batches[int, int] = Batches(work, most=4)
        first = asyncio.create_task(batches.result(0))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batches.result(at)) for at in range(1, 8)]
        await asyncio.sleep(0.05)
        go_on.set()
        found = await asyncio.gather(first, *others)
        return [*found, *await asyncio.gather(batches.result(13), return_exceptions=True), await batches.result(5)]

    found = asyncio.run(ask())
    assert found[:8] == [at * 2 for at in range(8)]
    assert isinstance(found[8], ValueError)
    assert found[9] == 10, "a batch that fails does not end it"
    assert sizes[:3] == [1, 4, 3]


def test_only_who_has_the_token_is_answered(tmp_path: Path) -> None:
    digest = token_digest({"INCUMBENT_SERVE_TOKEN": TOKEN}, ANYWHERE, False)
    check(f"Bearer {TOKEN}", digest)
    check(f"bearer {TOKEN}", digest)
    for header, reason in ((None, "no_token"), ("", "no_token"), (f"Bearer {TOKEN}x", "wrong_token"),
                           (f"Basic {TOKEN}", "wrong_token"), ("Bearer é\udcff", "wrong_token")):  # fmt: skip
        with pytest.raises(Refusal) as refusal:
            check(header, digest)
        assert (refusal.value.reason, refusal.value.status) == (reason, 401)
        assert TOKEN not in str(refusal.value)
    desk = Desk({}, digest, most=1, together=1)
    assert desk.health(None) == {"status": "ok"}
    assert "models" in desk.health(f"Bearer {TOKEN}")


def test_a_server_without_a_secret_token_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o640)
    env = {"INCUMBENT_SERVE_TOKEN_FILE": str(file)}
    with pytest.raises(ConfigError, match="others can read"):
        token_digest(env, "127.0.0.1", False)
    file.chmod(0o600)
    assert token_digest(env, ANYWHERE, False) == token_digest({"INCUMBENT_SERVE_TOKEN": TOKEN}, "127.0.0.1", False)
    for env, host, without in (({}, "127.0.0.1", False), ({}, ANYWHERE, True),
                               ({"INCUMBENT_SERVE_TOKEN": "short"}, "127.0.0.1", False),
                               ({"INCUMBENT_SERVE_TOKEN_FILE": str(tmp_path)}, "127.0.0.1", False)):  # fmt: skip
        with pytest.raises(ConfigError):
            token_digest(env, host, without)
    assert token_digest({}, "127.0.0.1", True) == ""


def test_the_document_has_the_request_of_each_contract(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    found = document([online(store, folder)], with_token=True)
    schemas = found["components"]["schemas"]
    row = schemas["SmallRow"]
    assert sorted(row["properties"]) == ["at", "kind", "row", "shop", "x"], "not what features do not see"
    assert sorted(row["required"]) == ["at", "kind", "row", "shop"]
    assert row["properties"]["kind"]["enum"] == ["a", "b"]
    assert row["properties"]["row"]["minimum"] == 0
    assert schemas["Error"]["properties"]["reason"]["enum"] == list(STATUS)
    reference = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert reference == "#/components/schemas/SmallRequest"
    assert found["security"] == [{"token": []}]
    json.dumps(found, allow_nan=False)


def test_a_model_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    from incumbent.embedded.settings import Settings

    folder = folder_in(tmp_path)
    settings = Settings.from_env({"INCUMBENT_MODELS": str(folder.path.parent)}, tmp_path)
    assert serve_settings(settings, (), "", None).names == ("small",)
    with pytest.raises(ConfigError, match="no such model"):
        serve_settings(settings, ("other",), "", None)
