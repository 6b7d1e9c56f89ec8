"""Names of XGBoost's parameters: it takes one that it does not know without a word, and trains with its default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import xgboost as xgb

from incumbent.errors import TrainingError
from incumbent.estimators.constraints import INTERACTION, MONOTONE

BESIDE = {"eval_metric"}  # taken, and in no part of a booster's configuration
SHOWN, LIKE = 3, 0.7


def check_names(own: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Refuse a parameter that nothing in the booster reads.

    Args:
        own: The user's parameters.
        params: All parameters of the booster: what it consists of, and so which names are read, depends on them.

    Raises:
        TrainingError: There is one.
    """
    known = _known(params)
    if unknown := [str(name) for name in own if name not in known]:
        meant = dict.fromkeys(near for name in unknown for near in get_close_matches(name, sorted(known), SHOWN, LIKE))
        raise TrainingError(
            "a parameter cannot be taken",
            where="train.params in model.yaml",
            expected="parameters that this booster reads" + (f": {', '.join(meant)}?" if meant else ""),
            found=", ".join(unknown),
            next_step="correct train.params; rounds and early stopping are keys of train",
        )


def _known(params: Mapping[str, Any]) -> set[str]:
    """Return the names that a booster reads, each under all its aliases.

    As XGBoost tells them itself when it warns: from what a booster's parts say of themselves. This one has no rows: of
    a group each worker asks, and none waits long. Constraints would have to fit the features, and a device be there.
    """
    plain = {name: value for name, value in params.items() if name not in (MONOTONE, INTERACTION)}
    booster = xgb.Booster({**plain, "device": "cpu", "num_feature": 1})
    parts = _parameters(json.loads(booster.save_config()))
    return {name for part in parts for name in part} | set(xgb.get_config()) | BESIDE


def _parameters(config: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(config, list):
        for each in config:
            yield from _parameters(each)
    elif isinstance(config, dict):
        for name, value in config.items():
            if name.endswith("_param") and isinstance(value, dict):
                yield value
            yield from _parameters(value)
