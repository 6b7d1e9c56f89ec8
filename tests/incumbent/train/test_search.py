"""A search: from its first trial to the candidate; killed and resumed, it is the same search."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_training import REQUEST, small_model, small_settings, small_store
from tests.s3_server import BUCKET

from incumbent.errors import TrainingError
from incumbent.features.out_of_core import snapshot_files
from incumbent.records import GateReport, ModelVersion, Promotion, Search, Training, Trial
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.store.s3 import S3Blobs
from incumbent.train import search as searching
from incumbent.train.progress import Progress, log_progress
from incumbent.train.search import search, trial_name, trials_of
from incumbent.train.stage import plan_training, train_candidate
from incumbent.train.work import Work

pytestmark = pytest.mark.unit
SPACE = {"max_depth": {"low": 2, "high": 5}, "learning_rate": {"low": 0.1, "high": 0.5, "log": True}}
FIT: dict[str, Any] = {"rounds": 30, "validation_days": 5, "cpus_per_worker": 1}
DIES = """
import os, signal, sys
from pathlib import Path
from small_training import REQUEST, small_model, small_settings, small_store, stage
from incumbent.train import search, trial

calls = []
def clock():
    calls.append(0)
    if len(calls) == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.0

def run_trial(work, files, prepared, place, asked):
    return trial.run_trial(work, files, prepared, place, asked, *([clock] if asked.number == 11 else []))

search.run_trial = run_trial
store, snapshot = small_store(Path(sys.argv[1]))
stage.train_candidate(store, small_model(**eval(sys.argv[2])), snapshot, REQUEST, small_settings(Path(sys.argv[1])))
"""


def fit(**searched: Any) -> dict[str, Any]:
    return {**FIT, "search": {"trials": 6, "patience": 5, "space": SPACE, **searched}}


def train(root: Path, request: str = REQUEST, **settings: Any) -> tuple[ModelStore, Training, Search]:
    store, snapshot = small_store(root)
    training = train_candidate(store, small_model(**settings), snapshot, request, small_settings(root))
    return store, training, store.records.get(Search, training.search)


def test_the_best_of_the_trials_is_fitted_on_all_rows_and_the_records_say_where_it_came_from(tmp_path: Path) -> None:
    store, training, found = train(tmp_path, **fit(), params={"max_depth": 8, "eta": 0.9})
    version = store.records.get(ModelVersion, training.version)
    assert [trial["number"] for trial in found.trials] == list(range(6))
    assert [trial["origin"] for trial in found.trials] == ["folder"] + ["sampler"] * 5
    best = min(found.trials, key=lambda trial: trial["values"]["quality"])
    assert (found.chosen, list(found.pareto)) == (best["number"], [best["number"]])
    assert best["origin"] == "sampler"
    assert (found.params, found.rounds) == (best["params"], best["rounds"])
    assert found.params.keys() == SPACE.keys()
    assert version.params == {**found.params, "searched": sorted(SPACE), "seed": 7, "device": "cpu"}
    assert (version.rounds, version.train_rows) == (found.rounds, 2226)  # all 23 days
    assert store.blobs.names("checkpoints") == []
    assert check_model(store) == []


def test_trials_are_judged_on_the_newest_days_an_embargo_after_what_they_learn_from(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    work = trials_of(Work(small_model(**fit()), snapshot))
    with snapshot_files(store, snapshot) as files:
        rows = work.prepare(store, files).rows
    per_day = 3000 / 31
    assert rows.count == pytest.approx(17 * per_day, abs=2)  # 23 days, 5 of them and one of embargo not
    assert sum(len(each.positions) for each in rows.validation) == pytest.approx(5 * per_day, abs=2)
    assert min(each.positions.min() for each in rows.validation) - max(
        each.positions.max() for each in rows.train
    ) == pytest.approx(per_day, abs=2)


def test_killed_in_the_middle_of_a_trial_it_ends_with_the_same_trials_and_the_same_choice(tmp_path: Path) -> None:
    settings = fit(minutes=60, trials=13)  # the first ten are drawn by chance, the others from those before them
    _, undisturbed, expected = train(tmp_path / "undisturbed", **settings)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", DIES, str(tmp_path / "killed"), repr(settings)]
    assert subprocess.run(command, env=env, timeout=120, check=False).returncode == -signal.SIGKILL
    store, snapshot = small_store(tmp_path / "killed")
    work = Work(small_model(**settings), snapshot)
    before = {number: store.records.get_plain(Trial.kind, trial_name(work.id, number)) for number in range(11)}
    assert len(store.records.names(Trial.kind)) == 11
    assert check_model(store) == []
    _, resumed, found = train(tmp_path / "killed", **settings)
    assert found == expected
    assert resumed == undisturbed
    assert {number: store.records.get_plain(Trial.kind, trial_name(work.id, number)) for number in range(11)} == before
    assert check_model(store) == []


def test_on_s3_it_goes_on_as_in_a_folder(tmp_path: Path, s3_options: dict[str, str]) -> None:
    class Interrupted(searching._Here):
        def wait(self) -> Trial:
            if self._waiting[0].number == 3:
                raise KeyboardInterrupt
            return super().wait()

    expected = train(tmp_path / "folder", **fit())[2]
    blobs = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", s3_options)
    store, snapshot = small_store(tmp_path / "work", blobs=blobs)
    work = Work(small_model(**fit()), snapshot)
    with ExitStack() as held, pytest.raises(KeyboardInterrupt):
        search(store, work, Interrupted(store, trials_of(work), held), log_progress)
    assert store.records.names(Trial.kind) == [trial_name(work.id, number) for number in range(3)]
    training = train_candidate(store, small_model(**fit()), snapshot, REQUEST, small_settings(tmp_path))
    assert store.records.get(Search, training.search) == expected
    assert check_model(store) == []


def test_of_a_search_that_is_done_nothing_is_learned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, found = train(tmp_path, **fit())
    monkeypatch.setattr(searching, "run_trial", lambda *_: pytest.fail("a trial was learned again"))
    monkeypatch.setattr(searching, "snapshot_files", lambda *_: pytest.fail("rows were read"))
    _, second, again = train(tmp_path, "2020-01-r2", **fit())
    assert (second.version, again) == (first.version, found)


def test_which_of_several_trials_ends_first_makes_no_difference(tmp_path: Path) -> None:
    class Backwards(searching._Here):
        def wait(self) -> Trial:
            self._waiting.reverse()
            return super().wait()

    found = []
    for runner in (searching._Here, Backwards):
        store, snapshot = small_store(tmp_path / runner.__name__)
        work = Work(small_model(**{**fit(parallel=3, trials=20), "rounds": 8}), snapshot)
        with ExitStack() as held:
            told: list[Progress] = []
            found.append(search(store, work, runner(store, trials_of(work), held), told.append))
            assert [progress.round for progress in told] == list(range(1, 21))
            best = found[-1].trials[found[-1].chosen]["values"]["quality"]
            assert told[-1].line() == f"trial 20 of 20 (100 %), best validation logloss {best:.6g}, 0 s left"
    assert found[0] == found[1]
    alone = train(tmp_path / "alone", **{**fit(trials=20), "rounds": 8})[2]
    drawn = [[trial["params"] for trial in each.trials] for each in (alone, found[0])]
    assert drawn[0][:10] == drawn[1][:10]  # by chance
    assert drawn[0][12:] != drawn[1][12:]


def test_minutes_are_spent_over_all_attempts(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    work = Work(small_model(**fit(minutes=1.5)), snapshot)
    for number in range(2):
        values = {"quality": 0.6 - number / 100}
        trial = Trial(number, "sampler", {"max_depth": 3}, "complete", 7, 12, "logloss", False, values, 40.0)
        store.records.put(trial_name(work.id, number), trial)
    assert store.records.get(Trial, trial_name(work.id, 1)).seconds == 40
    _, _, found = train(tmp_path, **fit(minutes=1.5))
    third = store.records.get(Trial, trial_name(work.id, 2))
    assert third.seconds < 10
    assert len(found.trials) == 6  # 80 seconds are no minute and a half
    work = Work(small_model(**fit(minutes=1.2)), snapshot)
    for number in range(2):
        store.records.put(trial_name(work.id, number), replace(third, number=number, seconds=40.0))
    _, _, found = train(tmp_path, "2020-01-r2", **fit(minutes=1.2))
    assert [trial["number"] for trial in found.trials] == [0, 1]


def test_the_champion_comes_first_and_who_that_is_is_pinned(tmp_path: Path) -> None:
    store, first, _ = train(tmp_path, **FIT, params={"max_depth": 4}, search={"trials": 1, "space": SPACE})
    champion = store.records.get(ModelVersion, first.version)
    gate = GateReport("small", "2020-01", champion.digest, "", 0, first.snapshot, REQUEST, "promote", (), "Promoted.")
    store.records.put(gate.id, gate)
    store.records.put("000001", Promotion(1, champion.digest, 0, gate.id, "promote", "first", REQUEST, "2020-01"))
    model = small_model(**fit())
    snapshot = small_store(tmp_path)[1]
    prior = plan_training(store, model, snapshot, "2020-01-r2").work.prior
    assert prior == {"max_depth": 4, "learning_rate": 0.3}
    found = train(tmp_path, "2020-01-r2", **fit())[2]
    assert [(trial["origin"], trial["params"]) for trial in found.trials[:2]] == [("champion", prior), ("folder", {})]
    second = replace(champion, digest=store.objects.put(b"other"), params={"max_depth": 2})
    store.records.put(second.digest, second)
    store.records.put("000002", Promotion(2, second.digest, 1, gate.id, "promote", "second", REQUEST, "2020-01"))
    assert plan_training(store, model, snapshot, "2020-01-r2").work.prior == prior
    assert plan_training(store, model, snapshot, "2020-01-r3").work.prior["max_depth"] == 2


def test_latency_and_size_are_recorded_and_a_little_quality_is_given_for_them(tmp_path: Path) -> None:
    objectives = ["quality", "latency", "size"]
    _, _, found = train(tmp_path, **fit(objectives=objectives, tolerance=0.05, trials=8))
    assert all(trial["values"].keys() == set(objectives) for trial in found.trials)
    chosen = found.trials[found.chosen]["values"]
    best = min(trial["values"]["quality"] for trial in found.trials)
    assert best < chosen["quality"] <= 1.05 * best
    assert chosen["latency"] == min(
        trial["values"]["latency"] for trial in found.trials if trial["values"]["quality"] <= 1.05 * best
    )
    assert found.chosen in found.pareto


def test_a_trial_that_fails_is_one_of_them_and_the_others_go_on(tmp_path: Path) -> None:
    _, _, found = train(tmp_path, **fit(space={"max_depth": [-3, 3]}))
    failed = [trial for trial in found.trials if trial["state"] == "failed"]
    assert 0 < len(failed) < 5
    assert all(trial["params"] == {"max_depth": -3} and "max_depth" in trial["message"] for trial in failed)
    assert found.trials[found.chosen]["state"] == "complete"


def test_when_all_fail_the_first_reason_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="every trial of the search failed") as caught:
        train(tmp_path, **fit(space={"learning_rate": [0.1, 0.2]}), params={"max_depth": -3})
    assert "6 failed; the first: XGBoost refused to train" in str(caught.value.found)
    assert "train.search.space" in caught.value.next_step


@pytest.mark.parametrize(
    ("settings", "where", "what"),
    [
        ({"validation_days": 90}, "true", "there are no training rows"),
        ({}, "row < 1500", "the validation rows cannot say when to stop"),
        ({}, "row < 1500 OR late", "the validation rows cannot say when to stop"),
    ],
    ids=["all rows are new", "no new rows", "new rows of one class"],
)
def test_validation_rows_that_could_say_nothing_are_refused(
    tmp_path: Path, settings: dict[str, Any], where: str, what: str
) -> None:
    store, snapshot = small_store(tmp_path)
    snapshot = replace(snapshot, label={"sql": "late", "where": where})
    model = small_model(**fit(), **settings) if not settings else small_model(**{**fit(), **settings})
    with pytest.raises(TrainingError, match=what) as caught:
        train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path))
    assert "train.validation_days" in caught.value.next_step


def test_giving_up_keeps_the_best_of_the_same_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a clock: how much time it saves is measured by `make bench ONLY=search`."""
    settings = {**fit(trials=10, patience=40), "rounds": 200}
    with_it = train(tmp_path / "with", **settings)[2]
    monkeypatch.setattr("incumbent.train.trial.is_hopeless", lambda *_: False)
    without = train(tmp_path / "without", **settings)[2]
    rounds = [sum(trial["tried"] for trial in found.trials) for found in (with_it, without)]
    assert {trial["state"] for trial in without.trials} == {"complete"}
    assert "given_up" in {trial["state"] for trial in with_it.trials}
    assert rounds[0] < rounds[1]
    best = [found.trials[found.chosen]["values"]["quality"] for found in (with_it, without)]
    assert best[0] <= best[1] * 1.002
