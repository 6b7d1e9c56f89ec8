"""Constraints name features, whatever the estimator: LightGBM by itself takes each name as its first feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from incumbent.errors import TrainingError

MONOTONE, INTERACTION = "monotone_constraints", "interaction_constraints"
SHOWN = 20


def check_constraints(params: Mapping[str, Any], features: Sequence[str]) -> None:
    """Refuse a constraint on what is no feature.

    Args:
        params: The user's parameters; constraints that are given by position are the library's to judge.
        features: Names of the features.

    Raises:
        TrainingError: There is one.
    """
    for kind, named in _named(params).items():
        if unknown := [name for name in named if name not in features]:
            more = f" and {len(features) - SHOWN} more" if len(features) > SHOWN else ""
            raise TrainingError(
                "a constraint names no feature",
                where=f"train.params.{kind} in model.yaml",
                expected=f"features: {', '.join(features[:SHOWN])}{more}",
                found=", ".join(dict.fromkeys(unknown)),
                next_step=f"correct train.params.{kind}",
            )


def by_position(params: Mapping[str, Any], features: Sequence[str]) -> dict[str, Any]:
    """Return parameters whose constraints have positions for the features' names.

    >>> by_position({"monotone_constraints": {"b": 1}, "interaction_constraints": [["c", "a"]]}, ["a", "b", "c"])
    {'monotone_constraints': [0, 1, 0], 'interaction_constraints': [[2, 0]]}
    """
    at = {name: number for number, name in enumerate(features)}
    found = dict(params)
    if isinstance(signs := params.get(MONOTONE), Mapping):
        found[MONOTONE] = [signs.get(name, 0) for name in features]
    if isinstance(groups := params.get(INTERACTION), list | tuple):
        found[INTERACTION] = [[at.get(name, name) for name in group] for group in groups]
    return found


def _named(params: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names in each kind of constraint."""
    signs, groups = params.get(MONOTONE), params.get(INTERACTION)
    each = [name for group in groups for name in group] if isinstance(groups, list | tuple) else []
    return {
        MONOTONE: list(signs) if isinstance(signs, Mapping) else [],
        INTERACTION: [name for name in each if isinstance(name, str)],
    }
