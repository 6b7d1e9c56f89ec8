"""A decision on record is explained, and made again from what it looked at to the same numbers."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from series import MODEL, MONTHS, deliver, drift, performance, seat
from small_training import small_settings

from incumbent.cli import main
from incumbent.cli.retrain import _number
from incumbent.retrain.requests import finish
from incumbent.retrain.stage import decide_partition
from incumbent.retrain.why import decisions, why
from incumbent.store import ModelStore
from incumbent.store.check import check_model

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store: ModelStore = small_settings(tmp_path).open_store(None).model(MODEL.name)
    for key in MONTHS:
        deliver(store, key)
    seat(store, 1, "2020-01")
    champion = store.champion()
    assert champion is not None
    for key, value in (("2020-02", 0.70), ("2020-03", 0.69), ("2020-04", 0.60)):
        performance(store, key, champion, value)
    return store


def test_it_is_made_again_to_the_same_numbers_whatever_came_later(store: ModelStore) -> None:
    decide_partition(store, MODEL, "2020-04", "a run")
    before = why(store, MODEL, decisions(store, "2020-04")[-1])
    assert (before.replayed, before.request, before.answer, before.generation) == ("same", "2020-04-r1", "", 1)
    finish(store, "2020-04-r1", "promote", 2, "")
    seat(store, 2, "2020-04")
    drift(store, "2020-04")
    after = why(store, MODEL, decisions(store, "2020-04")[-1])
    assert (after.replayed, after.answer) == ("same", "promote")
    assert after.now == after.decision
    broken = [each for each in check_model(store) if each.where.startswith("decisions")]
    assert broken == []


def test_other_thresholds_make_another_decision(store: ModelStore) -> None:
    decide_partition(store, MODEL, "2020-04")
    patient = MODEL.model_copy(update={"monitor": MODEL.monitor.model_copy(update={"alarm_z": 30.0})})
    found = why(store, patient, decisions(store, "2020-04")[-1])
    assert (found.replayed, found.decision.reason) == ("other", "performance")
    assert found.now is not None
    assert found.now.reason == ""


def test_another_wording_is_no_other_decision(store: ModelStore) -> None:
    decide_partition(store, MODEL, "2020-04")
    made = decisions(store, "2020-04")[-1]
    asks = [{**ask, "says": "in other words"} for ask in made.evidence["asks"]]
    holds = [hold for hold in made.evidence["holds"] if hold["rule"] != "rollout"]  # added later, and says no
    older = replace(made, message="2020-04: retrain.", evidence={**made.evidence, "asks": asks, "holds": holds})
    assert why(store, MODEL, older).replayed == "same"
    asks[0]["value"] += 0.1
    assert why(store, MODEL, older).replayed == "other"


def test_what_it_looked_at_is_missed(store: ModelStore) -> None:
    decide_partition(store, MODEL, "2020-04")
    inputs = decisions(store)[-1].inputs
    store.objects.blobs.remove(store.objects.key(inputs))
    broken = [each for each in check_model(store) if each.where.startswith("decisions")]
    assert [each.found for each in broken] == [f"what it looked at {inputs} is missing"]


def test_the_command_says_what_fired_and_by_how_much(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(_: str) -> tuple[Any, ModelStore]:
        return type("Folder", (), {"model": MODEL})(), store

    monkeypatch.setattr("incumbent.cli.retrain.opened", opened)
    assert main.main(["retrain", "why", "small"]) == 2
    assert "no decision is on record" in capsys.readouterr().out
    assert main.main(["retrain", "why", "small", "202004"]) == 2
    assert "expected: a month key such as 2" in capsys.readouterr().err, "and not to wait for a decision about it"
    decide_partition(store, MODEL, "2020-04")
    assert main.main(["retrain", "why", "small", "2020-04"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2020-04: retrain for performance. auc since 2020-04 0.600, before 0.697 (z ")
    assert "champion: generation 1, degraded" in said
    for words in ("ranking ", "more than predicted ", "new_rows ", "request 2020-04-r1: not answered yet", "the same"):
        assert words in said
    assert re.search(r"\nranking +[\d.]+ +> 3.6  yes", said)
    assert re.search(r"\ndrift +0 +>= 2  no ", said)
    assert re.search(r"\nnew_rows +\d+ +< \d+  no ", said)
    decide_partition(store, MODEL, "2020-07")
    assert main.main(["retrain", "why", "small", "--all"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Decision ")]
    assert heads == [
        "Decision 1 of 2, 2020-04: after its outcomes came",
        "Decision 2 of 2, 2020-07: before its outcomes came",
    ]
    assert main.main(["retrain", "why", "small", "2020-04", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["schema"] == "incumbent.retrain_why/1"
    assert [_number(value) for value in (12283.0, -0.45871)] == ["12283", "-0.4587"], "a count is written as one"
    asks = plain["decisions"][0]["decision"]["evidence"]["asks"]
    assert [ask["fired"] for ask in asks] == [True, *[False] * 5]
