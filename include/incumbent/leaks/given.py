"""A column with which the others tell five times what they tell without it.

A departure time says little by itself, and nearly all together with the timetable. So a small boosted model is
fitted with and without the column, and judged on rows that it did not see. In honest tables columns share what
they know: without the best one the others lose little.

False alarms: the loss must exceed a quarter of all there is to know (entropy or variance), surely: paired over the
same rows, at the sheet's alpha. And the others must keep less than a fifth of it: an honest formula of several
columns loses as much without one of them, but keeps more (a third to a half in Friedman's, 1991). That is a
judgement, not a theorem: one honest column may decide nearly everything, and then a person has to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from incumbent.leaks.association import fold_codes, losses
from incumbent.leaks.columns import Codes, Column, Floats
from incumbent.leaks.finding import Finding
from incumbent.leaks.sheet import MOST_CLASSES, Sheet

if TYPE_CHECKING:
    import xgboost

Matrix = npt.NDArray[np.float32]
LEAST_GAIN = 0.25
MOST_LEFT = 0.2  # of what is explained with the column
LEAST_ROWS = 100
MOST_COLUMNS = 60
MOST_LEVELS = 255
MOST_SHUFFLED = 8  # columns with the largest gain
ROUNDS = 30
PARAMS = {
    "max_depth": 4, "learning_rate": 0.3, "min_child_weight": 2, "tree_method": "hist", "verbosity": 0, "nthread": 1,
}  # fmt: skip
OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


def given(sheet: Sheet) -> Iterator[Finding]:
    """Yield columns without which most of the knowledge is gone, the most telling one first."""
    columns = sorted(sheet.columns, key=lambda column: -sheet.strength[column.name].skill)[:MOST_COLUMNS]
    label, task = _label(sheet)
    if label.size < LEAST_ROWS or len(columns) < 2:
        return
    folds = fold_codes(label, task, sheet.seed, 2 if label.size > 400 else 4)
    base = _ignorance(label, task)
    while len(columns) > 1:
        with_all, drops = _fit(columns, sheet, folds, every_drop=True)
        worst: tuple[float, float, Column] | None = None
        for column in (columns[at] for at in np.argsort(-drops)[:3] if drops[at] >= LEAST_GAIN):
            without, _ = _fit([other for other in columns if other is not column], sheet, folds)
            gain = (without - with_all) / base
            surely = float(gain.mean() - norm.isf(sheet.alpha) * gain.std() / np.sqrt(gain.size))
            alone = 1.0 - float(without.mean()) / base <= MOST_LEFT * (1.0 - float(with_all.mean()) / base)
            if surely >= LEAST_GAIN and alone and (worst is None or gain.mean() > worst[0]):
                worst = (float(gain.mean()), 1.0 - float(without.mean()) / base, column)
        if worst is None:
            return
        yield _finding(worst[2].name, worst[1] + worst[0], worst[1])
        columns = [column for column in columns if column is not worst[2]]


def _fit(columns: Sequence[Column], sheet: Sheet, folds: Codes, every_drop: bool = False) -> tuple[Floats, Floats]:
    """Return the loss of each row it was not fitted to, and what is lost when a column is shuffled."""
    import xgboost as xgb  # here, and not for everyone who only names a finding: it takes a second

    label, task = _label(sheet)
    matrix, kinds = _matrix(columns, sheet)
    base = _ignorance(label, task)
    out, drops = np.empty(label.size), np.zeros(len(columns))
    rng = np.random.default_rng(sheet.seed)
    params = {**PARAMS, "objective": OBJECTIVES[task], "seed": sheet.seed}
    if task == "multiclass":
        params["num_class"] = int(label.max()) + 1
    for fold in np.unique(folds):
        fit, held = folds != fold, folds == fold
        data = xgb.QuantileDMatrix(matrix[fit], label[fit], feature_types=kinds, enable_categorical=True, nthread=1)
        booster = xgb.train(params, data, ROUNDS)

        def loss(rows: Matrix, booster: xgboost.Booster = booster, truth: Floats = label[held]) -> Floats:
            said = booster.predict(xgb.DMatrix(rows, feature_types=kinds, enable_categorical=True, nthread=1))
            return losses(truth, said.astype(np.float64), task)

        rows = matrix[held]
        out[held] = loss(rows)
        # Who explains less than a quarter in all has no column that explains a quarter more than the others.
        if every_drop and 1.0 - out[held].mean() / base >= LEAST_GAIN:
            gains = booster.get_score(importance_type="total_gain")
            for at in sorted(gains, key=lambda name: -gains[name])[:MOST_SHUFFLED]:
                drops[int(at[1:])] += _drop(rows, int(at[1:]), loss, out[held], rng) / base * held.mean()
    return out, drops


def _label(sheet: Sheet) -> tuple[Floats, str]:
    """Return what the model is to tell, and its task: of several classes the largest, all others as one more."""
    if sheet.classes is None:
        return sheet.sampled_label, sheet.task
    _, codes, counts = np.unique(sheet.sampled_classes, return_inverse=True, return_counts=True)
    rank = np.empty(counts.size, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    return np.minimum(rank[codes], MOST_CLASSES).astype(np.float64), "multiclass"


def _ignorance(label: Floats, task: str) -> float:
    """Return the mean loss of who knows the mean of the label only, or the share of each class."""
    if task == "multiclass":
        shares = np.bincount(label.astype(np.int64)) / label.size
        return float(losses(label, np.broadcast_to(shares, (label.size, shares.size)), task).mean())
    return float(losses(label, np.full(label.size, label.mean()), task).mean())


def _drop(rows: Matrix, at: int, loss: Callable[[Matrix], Floats], before: Floats, rng: np.random.Generator) -> float:
    """Return by how much the mean loss grows when a column is shuffled."""
    shuffled = rows.copy()
    shuffled[:, at] = rng.permutation(shuffled[:, at])
    return float((loss(shuffled) - before).mean())


def _matrix(columns: Sequence[Column], sheet: Sheet) -> tuple[Matrix, list[str]]:
    out, kinds = np.empty((sheet.sample.size, len(columns)), dtype=np.float32), []
    for at, column in enumerate(columns):
        values = sheet.sampled(column)
        levels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
        # Of a text with very many values only how common each is can be learned from a sample.
        few = column.is_text and levels.size <= MOST_LEVELS
        kinds.append("c" if few else "q")
        coded = np.where(np.isfinite(values), codes, np.nan)
        out[:, at] = coded if few else counts[codes] if column.is_text else values
    return out, kinds


def _finding(name: str, with_all: float, without: float) -> Finding:
    return Finding(
        column=name,
        test="given",
        sentence=f"with {name} a small model explains {with_all:.0%} of the label, with all other columns together "
        f"{max(without, 0.0):.0%}",
        expected=f"at most {LEAST_GAIN:.0%} more, or five times what the other columns explain",
        found=f"{with_all - max(without, 0.0):.0%} more",
        next_step="find out when its value is known; leave it out unless that is before the outcome",
        evidence={"skill": with_all, "skill_without": without},
    )
