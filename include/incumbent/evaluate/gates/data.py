"""The gate of the data: what cannot be compared is not compared."""

from __future__ import annotations

import numpy as np

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Result
from incumbent.evaluate.words import count

LARGEST = 1e150  # its square is a number still


def data(contest: Contest) -> Result:
    """Gate rows are newer than every training row of both contenders, and every number is one that can be judged."""
    seen = [day for day in (contest.train_until, contest.champion_train_until) if day]
    newer = bool(contest.train_until) and all(day <= contest.gate_from for day in seen)
    bad, strange = not_finite(contest), strange_labels(contest)
    if contest.barred:
        sentence = (
            f"this version lost the seat of generation {contest.barred} to a rollback: other rows make another one"
        )
    elif not newer:
        sentence = f"the gate rows start at {contest.gate_from}, but training rows reach up to {max(seen, default='?')}"
    elif bad:
        sentence = "not finite: " + ", ".join(f"{count(number)} {name}s" for name, number in bad.items())
    elif strange:
        sentence = f"{count(strange)} labels are none of task {contest.task}"
    else:
        sentence = "the gate rows are newer than all training rows"
    return {
        "gate": "data",
        "passed": newer and not bad and not strange and not contest.barred,
        "gate_from": contest.gate_from,
        "train_until": contest.train_until,
        "champion_train_until": contest.champion_train_until,
        "not_finite": bad,
        **({"strange_labels": strange} if strange else {}),
        **({"barred": contest.barred} if contest.barred else {}),
        "sentence": sentence,
    }


def not_finite(contest: Contest) -> dict[str, int]:
    """Return how many rows have a number that is none, or none that can be squared, by what it is."""
    arrays = {
        "label": contest.labels,
        "candidate score": contest.challenger,
        "champion score": contest.champion,
        "baseline score": contest.baseline,
    }
    found = {
        name: int((~(np.abs(values) < LARGEST)).any(axis=tuple(range(1, values.ndim))).sum())
        for name, values in arrays.items()
        if values is not None
    }
    return {name: number for name, number in found.items() if number}


def strange_labels(contest: Contest) -> int:
    """Return how many labels the task does not have."""
    if contest.task == "regression":
        return 0
    known = np.arange(len(contest.classes)) if contest.task == "multiclass" else np.array([0, 1])
    return int((~np.isin(contest.labels, known)).sum())
