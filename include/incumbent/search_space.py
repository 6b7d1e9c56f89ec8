"""What a search may vary of each estimator, and where it looks unless it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Estimator to parameter to what the library takes without a word; only these may be searched.
KNOWN: Mapping[str, Mapping[str, Any]] = {
    "xgboost": {
        "learning_rate": 0.3,
        "max_depth": 6,
        "max_leaves": 0,
        "grow_policy": "depthwise",
        "min_child_weight": 1,
        "min_split_loss": 0,
        "max_delta_step": 0,
        "subsample": 1,
        "colsample_bytree": 1,
        "colsample_bylevel": 1,
        "colsample_bynode": 1,
        "reg_lambda": 1,
        "reg_alpha": 0,
        "max_bin": 256,
        "max_cat_to_onehot": 4,
        "max_cat_threshold": 64,
        "num_parallel_tree": 1,
    },
}
ALIASES: Mapping[str, Mapping[str, str]] = {
    "xgboost": {"eta": "learning_rate", "gamma": "min_split_loss", "lambda": "reg_lambda", "alpha": "reg_alpha"},
}
# Six at most: each more needs more trials. Ends where tabular models of this kind are rarely better beyond.
DEFAULTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "xgboost": {
        "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "max_depth": {"low": 3, "high": 10},
        "min_child_weight": {"low": 1.0, "high": 100.0, "log": True},
        "subsample": {"low": 0.5, "high": 1.0},
        "colsample_bytree": {"low": 0.5, "high": 1.0},
        "reg_lambda": {"low": 0.1, "high": 20.0, "log": True},
    },
}


def canonical(estimator: str, name: str) -> str:
    """Return the one name of a parameter that has two.

    >>> canonical("xgboost", "eta"), canonical("xgboost", "max_depth")
    ('learning_rate', 'max_depth')
    """
    return ALIASES.get(estimator, {}).get(name, name)


def check_names(estimator: str, names: Iterable[str]) -> None:
    """Refuse parameters that no search may vary.

    Raises:
        ValueError: One is not known, or two are the same parameter.
    """
    seen: dict[str, str] = {}
    for name in names:
        one = canonical(estimator, name)
        if one not in KNOWN[estimator]:
            known = ", ".join(sorted(KNOWN[estimator]))
            raise ValueError(f"`search.space`: {name!r} is no parameter that can be searched; those are {known}")
        if one in seen:
            raise ValueError(f"`search.space`: {seen[one]!r} and {name!r} are the same parameter")
        seen[one] = name


def laid_over(estimator: str, params: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with others laid over them, under whichever of its names each is given.

    >>> laid_over("xgboost", {"eta": 0.3, "max_depth": 4}, {"learning_rate": 0.1})
    {'max_depth': 4, 'learning_rate': 0.1}
    """
    names = {canonical(estimator, name) for name in chosen}
    return {name: value for name, value in params.items() if canonical(estimator, name) not in names} | dict(chosen)


def value_of(estimator: str, params: Mapping[str, Any], name: str) -> Any:
    """Return what a parameter is: as given, under any of its names, else the library's own.

    >>> value_of("xgboost", {"eta": 0.1}, "learning_rate"), value_of("xgboost", {}, "max_depth")
    (0.1, 6)
    """
    one = canonical(estimator, name)
    given = {canonical(estimator, each): value for each, value in params.items()}
    return given.get(one, KNOWN[estimator][one])
