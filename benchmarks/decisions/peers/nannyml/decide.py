"""NannyML 0.13: its defaults, with chunks of the batch's size, as its guide asks for."""

from __future__ import annotations

from typing import Any

import nannyml
import pandas as pd

TEN = 10  # chunks that it takes by default
RULES = ("NannyML any column", "NannyML missing values", "NannyML CBPE")


def drift(question: dict[str, Any]) -> list[dict[str, bool]]:
    """Return what univariate drift, missing values and the estimated performance say of each batch."""
    reference = pd.read_parquet(question["reference"])
    fitted: dict[int, dict[str, Any]] = {}
    said = []
    for file in question["batches"]:
        batch = _with_class(pd.read_parquet(file))
        rows = len(batch) if 2 * len(batch) <= len(reference) else len(reference) // TEN
        if rows not in fitted:
            fitted[rows] = _fitted(_with_class(reference), question, rows)
        answer = {}
        for name, calculator in fitted[rows].items():
            try:
                answer[name] = _alert(calculator.estimate(batch) if "CBPE" in name else calculator.calculate(batch))
            except Exception:  # it stops whoever calls it
                answer[name] = answer["error"] = True
        said.append(answer)
    return said


def _fitted(reference: pd.DataFrame, question: dict[str, Any], rows: int) -> dict[str, Any]:
    names = [*question["numbers"], *question["levels"]]
    univariate = nannyml.UnivariateDriftCalculator(
        column_names=names, treat_as_categorical=question["levels"], chunk_size=rows
    )
    estimated = nannyml.CBPE(
        metrics=["roc_auc"],
        y_pred_proba="score",
        y_pred="said",
        y_true="label",
        problem_type="classification_binary",
        chunk_size=rows,
    )
    missing = nannyml.MissingValuesCalculator(column_names=names, chunk_size=rows)
    return {name: each.fit(reference) for name, each in zip(RULES, (univariate, missing, estimated), strict=True)}


def _with_class(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(said=(rows["score"] > 0.5).astype(int))


def _alert(result: Any) -> bool:
    found = result.filter(period="analysis").to_df()
    columns = [column for column in found.columns if column[-1] == "alert"]
    return bool(found[columns].any(axis=None))
