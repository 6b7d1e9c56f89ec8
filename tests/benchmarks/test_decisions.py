"""What is promised of decisions holds in eight small cells, and the bench itself measures what it says."""

import json

import numpy as np
import pytest
from benchmarks.decisions import ci, ours
from benchmarks.decisions.contests import Pair
from benchmarks.decisions.families import NOTHING, concept, fixed, held_out, shifted, truth, units
from benchmarks.decisions.intervals import rate, wilson
from benchmarks.decisions.labelled import QUIET, Change, draw
from benchmarks.decisions.newest import Newest
from benchmarks.decisions.our_loop import Incumbent
from benchmarks.decisions.peers import DRIFT, HERE, LABELLED, Question, ask
from benchmarks.decisions.promotion import OURS, duels, promotion_figures
from benchmarks.decisions.rules import decisions
from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.story import WINDOW, days, fit, stories
from benchmarks.decisions.world import BASE_RATE, make_world, wobble
from benchmarks.harness import at_least, figure, run

from incumbent.features.profile import added
from incumbent.stats import auc

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ci.CELLS)
def test_a_promise_holds_in_a_small_cell(name: str) -> None:
    if name == "right rollback" and not ours.ROLLS_BACK:
        pytest.skip("production leaves a rollback to a person")
    found = ci.CELLS[name]()
    assert found.holds, f"{found.metric}: {found.value} {found.unit}, goal {found.wanted}"


def test_draws_follow_from_the_commit_and_the_family() -> None:
    one, same, other = Draws("a", "f"), Draws("a", "f"), Draws("b", "f")
    assert one.rng(0).random() == same.rng(0).random() != one.rng(1).random()
    assert one.rng(0).random() != other.rng(0).random()
    assert one.held_out("size", 0.1, 0.2) == same.held_out("size", 0.1, 0.2) != other.held_out("size", 0.1, 0.2)
    assert {family.name for family in held_out(one)} != {family.name for family in held_out(other)}
    assert stories("a")["severe"] == stories("b")["severe"]
    assert stories("a")["held out"] != stories("b")["held out"]


def test_the_champion_is_right_about_its_own_world() -> None:
    world, rng = make_world(8), np.random.default_rng(0)
    rows = world.draw(rng, 40_000)
    labels = rng.random(40_000) < world.scores(rows)
    assert labels.mean() == pytest.approx(BASE_RATE, abs=0.01)
    assert sum(world.importance.values()) == pytest.approx(1.0)
    assert 0.75 < auc(labels.astype(float), world.scores(rows)) < 0.85
    assert world.draw(rng, 10).table(np.zeros(10)).column_names == [*world.names, "score"]


def test_harm_is_what_a_right_model_would_not_have_lost() -> None:
    world = make_world(8)
    for family, harmful in (
        (NOTHING, False),
        (shifted("harder rows", lambda w: {"x0": 0.5}), False),
        (units(100, 1.0), True),
        (concept(0.8), True),
    ):
        assert truth(world, family, np.random.default_rng(0)).harmful is harmful, family.name
    faults = {family.name: family for family in fixed() if family.right == "hold"}
    assert len(faults) == 17
    # A whole column in another unit keeps the order of the rows: by the AUC alone it would do no harm.
    assert truth(world, faults["units ×100, 100% of rows"], np.random.default_rng(0)).auc == pytest.approx(0, abs=1e-3)


def test_batches_wobble_as_much_as_is_said() -> None:
    world = make_world(20)
    shifts = [wobble(world, np.random.default_rng(seed), 0.08).shifts["x0"] for seed in range(400)]
    assert np.std(shifts) == pytest.approx(0.08, rel=0.1)


def test_a_window_of_batches_knows_its_sum() -> None:
    world, rng = make_world(8), np.random.default_rng(0)
    profiles = [ours.profile_of(world.draw(rng, 300).table()) for _ in range(9)]
    assert Newest(4, []).together() is None
    newest = Newest(4, profiles[:2])
    for at, each in enumerate(profiles[2:], start=3):
        newest.add(each)
        kept = profiles[max(0, at - 4) : at]
        assert newest.each == kept
        assert newest.together() == added(kept)


def test_pairs_differ_by_what_is_said_and_are_right_about_the_labels() -> None:
    labels, first, (second,) = Pair(gain=0.02, correlation=0.9).draw(np.random.default_rng(0), 400_000)
    assert auc(labels, second) - auc(labels, first) == pytest.approx(0.02, abs=0.003)
    assert auc(labels, first) == pytest.approx(0.80, abs=0.005)
    assert second.mean() == pytest.approx(labels.mean(), abs=0.002)


def test_an_auc_falls_by_what_is_said_and_the_mean_stays() -> None:
    rng = np.random.default_rng(0)
    before, after = draw(rng, 200_000, QUIET), draw(rng, 200_000, Change("", drop=0.06))
    assert auc(*before) - auc(*after) == pytest.approx(0.06, abs=0.006)
    assert after[0].mean() == pytest.approx(after[1].mean(), abs=0.003)


def test_a_stream_holds_what_its_story_says() -> None:
    world, story = make_world(8), stories("a")["severe"]
    stream = days(world, story, np.random.default_rng(0))
    assert [at - 20 for at, day in enumerate(stream) if day.broken] == [story.fault, story.fault + 1]
    weights = fit(stream[:20])
    before, after = (auc(stream[at].labels, stream[at].design @ weights) for at in (40, 20 + story.concept + 10))
    assert before - after > 0.03


@pytest.mark.parametrize("holdout", [3, 7])
def test_the_loops_first_champion_has_learned_from_a_whole_window(holdout: int) -> None:
    world = make_world(8)
    loop = Incumbent(world, days(world, stories("a")["mild"], np.random.default_rng(0)), holdout)
    for at in range(WINDOW, 2 * WINDOW):
        loop.policy.counts(ours.partition_of(at), loop.stream[at].labels)
    asked = loop.policy.decides(ours.partition_of(2 * WINDOW - 1)).evidence["asks"]
    assert [ask["value"] for ask in asked if ask["rule"] == "growth"] == [1.0], "nobody learns from more than a window"


def test_an_interval_is_wider_when_trials_share_their_luck() -> None:
    alone = rate([[hit] for hit in [True] * 10 + [False] * 90])
    shared = rate([[True] * 10] + [[False] * 10] * 9)
    assert (alone.low, alone.high) == pytest.approx(wilson(0.1, 100), rel=0.01)
    assert shared.high - shared.low > 2 * (alone.high - alone.low)


def test_written_rules_see_a_change_and_are_quiet_where_they_measure() -> None:
    world, rng = make_world(8), np.random.default_rng(0)
    reference, same = world.draw(rng, 20_000), world.draw(rng, 5000)
    other = shifted("all", lambda w: dict.fromkeys((*w.numbers, *w.amounts), 2.0)).make(world, rng, 5000, None).rows
    quiet, loud = decisions(reference, same), decisions(reference, other)
    assert not quiet["Evidently dataset*"] and not quiet["SageMaker (emulated)"] and not quiet["Vertex (emulated)"]
    assert all(loud[name] for name in loud)


def test_every_peer_is_locked_and_a_missing_one_is_said(tmp_path, monkeypatch) -> None:
    for peer in (*DRIFT, *LABELLED):
        lock = (HERE / peer / "requirements.txt").read_text()
        assert "--hash=sha256:" in lock and (HERE / peer / "decide.py").exists()
        for wanted in (HERE / peer / "requirements.in").read_text().splitlines():
            if "==" in wanted:
                assert wanted.split("[")[0].split("==")[0] + "==" + wanted.split("==")[1] in lock
    monkeypatch.setattr("benchmarks.decisions.peers.sys.executable", str(tmp_path / "python"))
    rows = make_world(5).draw(np.random.default_rng(0), 10).table()
    found = ask("evidently", [Question(rows, [rows])], tmp_path)
    assert "could not be installed" in found.missing and found.said == ()


def test_a_goal_may_be_the_least_and_a_promise_is_about_all_its_cells(tmp_path, capsys) -> None:
    figures = [at_least("held", 0.98, "share", 0.99, (0.9, 1.0)), figure("wrong", 0.0, "share", 0.01)]
    assert [found.metric for found in run("decisions", lambda: figures, tmp_path)] == ["held"]
    assert "(0.9 to 1) goal ≥ 0.99 MISSED" in capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "decisions.jsonl").read_text().splitlines()]
    assert [line["at_least"] for line in lines] == [True, False]
    half, none = rate([[True], [False]] * 50), rate([[False]] * 100)
    cells = [half if duel.name.startswith("best") else none for duel in duels("a")]
    said = {each.metric: each for each in promotion_figures("a", [{OURS: cell} for cell in cells], {})}
    assert not said["promoted: equal challenger, best of 10"].holds
    assert said["promoted: equal challenger"].holds and said["promoted: worse challenger"].holds
