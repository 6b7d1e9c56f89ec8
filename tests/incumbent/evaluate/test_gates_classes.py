"""The gates of several classes: log loss that is saved, each class by itself, and sentences that name the class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from small_training import CLASSES, class_model

from incumbent.config import Gates
from incumbent.errors import ModelError
from incumbent.evaluate import Contest, evaluate, judge
from incumbent.evaluate.baseline import best_single_feature
from incumbent.evaluate.gates.calibration import calibration, first_calibration
from incumbent.evaluate.gates.sample import sample
from incumbent.evaluate.gates.trivial import chance
from incumbent.records import GateReport, ModelVersion, Promotion, RetrainRequest, Snapshot
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
Floats = npt.NDArray[np.float64]
ROWS, DAYS = 4200, np.repeat(np.arange(7), 600)
MARGINS = np.random.default_rng(4).normal(size=(ROWS, 3)) * 1.2 + [0.6, 0.0, -1.4]


def softmax(margins: Floats) -> Floats:
    powers: Floats = np.exp(margins)
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(probabilities: Floats, seed: int = 3) -> Floats:
    luck = np.random.default_rng(seed).random(len(probabilities))
    return np.minimum((luck[:, None] > probabilities.cumsum(axis=1)).sum(axis=1), 2).astype(np.float64)


TRUTH = softmax(MARGINS)
LABELS = drawn(TRUTH)
SHARES = np.bincount(LABELS.astype(int)) / ROWS


def sees(share: float) -> Floats:
    """Return what somebody says who takes the truth for so much of it, and is right on the mean."""
    return share * TRUTH + (1 - share) * SHARES


def duel(**changes: Any) -> Contest:
    return replace(
        Contest(
            task="multiclass",
            labels=LABELS,
            challenger=sees(0.95),
            champion=sees(0.6),
            clusters=DAYS,
            unit="days",
            train_rows=20_000,
            train_until="2013-01-24",
            champion_train_until="2012-12-24",
            gate_from="2013-01-25",
            limits=Gates(),
            classes=CLASSES,
        ),
        **changes,
    )


def first_model(**changes: Any) -> Contest:
    cold = {"champion": None, "champion_train_until": "", "chance": SHARES, "baseline": sees(0.3)}
    return duel(**(cold | {"baseline_feature": "hour"} | changes))


def test_a_challenger_that_saves_log_loss_passes_every_gate() -> None:
    assert SHARES.min() < 0.12 < 0.5 < SHARES.max(), "unequal classes"
    verdict = judge(duel())
    assert [(gate["gate"], gate["passed"]) for gate in verdict.gates] == [
        ("data", True), ("sample", True), ("superiority", True), ("loss", True), ("calibration", True),
        ("chance", True),
    ]  # fmt: skip
    of_truth = [np.take_along_axis(said, LABELS.astype(int)[:, None], 1) for said in (sees(0.95), sees(0.6))]
    losses = [-np.log(each).mean() for each in of_truth]
    superiority = verdict.gates[2]
    assert (superiority["candidate"], superiority["champion"]) == pytest.approx(losses)
    assert superiority["estimate"] == pytest.approx(1 - losses[0] / losses[1])
    assert superiority["metric"] == "log loss"
    assert verdict.sentence.startswith("All 6 gates passed: log loss saved +")
    assert verdict.sentence.endswith(" %; better than the champion.")
    assert judge(duel(challenger=sees(0.6), champion=sees(0.95))).verdict == "reject"
    assert judge(duel(challenger=sees(0.6))).verdict == "reject", "the same again"


def test_each_class_needs_rows_and_the_rarest_is_named() -> None:
    rare = int((LABELS == 2).sum())
    verdict = judge(duel(limits=Gates(min_positives=rare + 1)))
    assert verdict.verdict == "insufficient_evidence"
    assert f"too few gate rows: {rare} rows of class lost of the {rare + 1} needed" in verdict.sentence
    assert sample(duel())["classes"] == {name: int((at == LABELS).sum()) for at, name in enumerate(CLASSES)}
    assert judge(duel(limits=Gates(min_positives=rare))).verdict == "promote"
    none = judge(duel(labels=np.where(LABELS == 2, 1.0, LABELS)))
    assert none.sentence.startswith("Not promoted: too few gate rows: 0 rows of class lost of the 200 needed")


@pytest.mark.parametrize("which", ["challenger", "champion", "baseline"])
def test_a_row_with_one_probability_that_is_no_number_counts_once(which: str) -> None:
    broken = sees(0.9)
    broken[[3, 8], 1] = np.nan
    broken[3, 2] = np.inf
    contest = first_model(baseline=broken) if which == "baseline" else duel(**{which: broken})
    word = {"challenger": "candidate", "champion": "champion", "baseline": "baseline"}[which]
    assert f"not finite: 2 {word} scores" in judge(contest).sentence


def tilted(probabilities: Floats, number: int, by: float) -> Floats:
    """Return probabilities with a class's moved, and the others' with it."""
    moved = probabilities.copy()
    moved[:, number] = np.clip(moved[:, number] + by, 1e-6, 1)
    return moved / moved.sum(axis=1, keepdims=True)


def test_calibration_is_of_the_worst_class_against_the_champion() -> None:
    found = calibration(duel(challenger=tilted(sees(0.95), 2, 0.08)))
    assert (found["passed"], found["class"]) == (False, "lost")
    assert found["candidate_off"] > 0.06 > abs(found["champion_off"])
    assert found["sentence"].startswith("the mean probability of class lost misses by +0.0")
    both = duel(challenger=tilted(sees(0.95), 2, 0.08), champion=tilted(sees(0.6), 2, 0.08))
    assert calibration(both)["passed"] is True, "no worse than the champion"
    first = first_calibration(first_model(challenger=tilted(sees(0.95), 0, -0.1)))
    assert (first["passed"], first["class"]) == (False, "early")
    assert first["candidate_off"] < -0.04


def test_the_worst_of_many_classes_is_allowed_more_luck() -> None:
    """A calibrated model of ten classes must not fail ten times as often as one of two."""
    rng, failed, names = np.random.default_rng(5), 0, tuple("abcdefghij")
    for _ in range(200):
        said = softmax(rng.normal(size=(700, 10)) + rng.normal(size=10))
        luck = rng.random(700)
        labels = np.minimum((luck[:, None] > said.cumsum(axis=1)).sum(axis=1), 9).astype(float)
        contest = first_model(
            challenger=said, labels=labels, clusters=None, classes=names, limits=Gates(calibration_tolerance=0)
        )
        failed += first_calibration(contest)["passed"] is False
    assert failed / 200 < 0.10


def test_a_first_model_must_beat_the_shares_of_the_classes_and_one_feature() -> None:
    verdict = judge(first_model())
    assert verdict.verdict == "promote"
    assert [gate["gate"] for gate in verdict.gates] == ["data", "sample", "chance", "baseline", "calibration"]
    constant = -np.log(SHARES[LABELS.astype(int)]).mean()
    assert verdict.gates[2]["against"] == pytest.approx(constant)
    assert judge(first_model(baseline=sees(0.999))).verdict == "reject"
    assert judge(first_model(challenger=np.broadcast_to(SHARES, (ROWS, 3)))).verdict == "reject"
    assert judge(first_model(challenger=np.random.default_rng(1).permutation(sees(0.95)))).verdict == "reject"
    unseen = first_model(chance=np.array([0.7, 0.3, 0.0]))
    assert chance(unseen)["passed"] is True, "a share of nothing does not divide by zero"


def test_equal_challengers_are_hardly_ever_promoted() -> None:
    """Days favour one contender or the other, by luck."""
    rng, promoted = np.random.default_rng(2013), 0
    for _ in range(300):
        luck = np.repeat(rng.normal(0, 0.5, (7, 3)), 250, axis=0)
        first, second, common = rng.normal(size=(3, 1750, 3))
        labels = drawn(softmax(common + first + second + luck * (first - second)), int(rng.integers(1 << 30)))
        challenger, champion = softmax(0.8 * (common + first)), softmax(0.8 * (common + second))
        contest = duel(
            labels=labels, challenger=challenger, champion=champion, clusters=np.repeat(np.arange(7), 250),
        )  # fmt: skip
        promoted += judge(contest).verdict == "promote"
    assert promoted / 300 <= 0.02


def rows(seed: int, first: date, days: int, per_day: int = 400) -> pa.Table:
    rng = np.random.default_rng(seed)
    count = days * per_day
    dates = [first + timedelta(days=int(day)) for day in np.repeat(np.arange(days), per_day)]
    margins = rng.normal(size=(count, 3)) + np.array([0.5, 0.0, -0.8])
    columns = {"row": np.arange(count), **{f"m{at}": margins[:, at] for at in range(3)}}
    label = drawn(softmax(1.5 * margins), seed)
    kind = np.where(rng.random(count) < 0.5, np.array(["x", "y", "z"])[label.astype(int)], "w")
    return pa.table({**columns, "kind": kind, "label": label, "local_date": pa.array(dates, pa.date32())})


GATE, TRAINING = rows(1, date(2013, 1, 25), 7), rows(2, date(2013, 1, 1), 23)


def test_the_one_feature_rule_gives_each_class_its_share() -> None:
    name, said = best_single_feature(TRAINING, GATE, ["m0", "kind"], "multiclass", 3)
    assert name == "kind"
    assert said is not None and said.shape == (2800, 3)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    of_x = said[np.asarray(GATE["kind"]) == "x"]
    assert len(np.unique(of_x, axis=0)) == 1
    assert of_x[0].argmax() == 0 and of_x[0, 0] > 0.9


def version(digest: str, classes: tuple[str, ...] = CLASSES, task: str = "multiclass") -> ModelVersion:
    return ModelVersion(
        digest * 64, "small", "xgboost", task, "d" * 64, "s", ("m0", "m1", "m2"), {}, {}, 1, 20_000, "2013-01-24", {},
        classes=classes,
    )  # fmt: skip


def predict(version: ModelVersion, rows: pa.Table) -> Floats:
    """The candidate `a` reads the margins well, others less; each in the order of its own classes."""
    margins = np.column_stack([rows[f"m{at}"].to_numpy() for at in range(3)])
    said = softmax((1.5 if version.digest[0] == "a" else 0.6) * margins)
    known = {**dict(zip(CLASSES, said.T, strict=True)), "gone": np.zeros(len(said))}
    return np.column_stack([known[name] for name in version.classes])


def run(store: ModelStore, champion: ModelVersion | None, predict: Callable[..., Any] = predict) -> GateReport:
    snapshot = Snapshot("small", "2013-01", "d" * 64, (), (), {}, {}, "2013-01-24", "2013-01-25", "2013-02-01")
    seat = None
    if champion is not None:
        store.records.put(champion.digest, champion)
        seat = Promotion(4, champion.digest, 3, "g" * 64, "promote", "x")
    request = RetrainRequest("2013-01-r1", "2013-01", "cold_start", {}, False, "first model")
    return evaluate(
        store, class_model(), snapshot, {"fresh": version("a")}, seat, request,
        rows=lambda definition: GATE, training_rows=lambda: TRAINING, predict=predict,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path).model("small")


def test_a_cold_start_and_a_challenger_are_judged_by_the_stage(tmp_path: Path) -> None:
    cold = run(Store(tmp_path / "cold").model("small"), None)
    assert (cold.verdict, cold.gates[3]["feature"]) == ("promote", "m0")
    duel = run(Store(tmp_path / "duel").model("small"), version("b"))
    assert duel.verdict == "promote"
    assert [gate["gate"] for gate in duel.gates][-1] == "leaks"


def superiority(report: GateReport) -> Mapping[str, Any]:
    (found,) = (gate for gate in report.gates if gate["gate"] == "superiority")
    return found


@pytest.mark.parametrize("classes", [CLASSES[::-1], ("gone", *CLASSES)], ids=["another order", "one class more"])
def test_a_champion_with_its_classes_in_another_order_is_judged_by_their_names(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    same = run(Store(tmp_path / "same").model("small"), version("b"))
    other = run(Store(tmp_path / "other").model("small"), version("b", classes))
    for name in ("champion", "candidate", "estimate", "lower"):
        assert superiority(other)[name] == pytest.approx(superiority(same)[name])


def test_a_champion_that_does_not_know_a_class_says_that_it_cannot_be(store: ModelStore) -> None:
    report = run(store, version("b", ("early", "gone", "late")))
    assert report.verdict == "promote"
    share = float((GATE["label"].to_numpy() == 2).mean())
    assert superiority(report)["champion"] > share * 16


def test_a_champion_of_another_task_is_no_contender(store: ModelStore) -> None:
    def says(version: ModelVersion, rows: pa.Table) -> Floats:
        return predict(version, rows) if version.classes else np.full(rows.num_rows, 0.5)

    with pytest.raises(ModelError, match="one prediction for each row and class") as caught:
        run(store, version("b", (), "binary"), says)
    assert "of a version of task binary" in str(caught.value.found)
    assert "another model folder" in str(caught.value.next_step)
