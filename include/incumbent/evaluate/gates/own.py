"""A folder's own gates: functions `gate_NAME(contest)` of its model.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from incumbent.errors import ModelError
from incumbent.evaluate.contest import Contest
from incumbent.evaluate.gates.result import Gate, Result
from incumbent.functions import FILE
from incumbent.records import canonical_json


def own_gates(contest: Contest) -> list[tuple[str, Gate]]:
    """Return the folder's own gates, in the order of their names."""
    return [(name, partial(_asked, name, contest.own[name])) for name in sorted(contest.own)]


def _asked(name: str, function: Callable[[Contest], Any], contest: Contest) -> Result:
    """Return what a gate says, once it is a result.

    Raises:
        ModelError: It is none: what cannot be read is not passed, and not rejected either.
    """
    given = function(contest)
    try:
        result = {str(key): _plain(value) for key, value in dict(given).items()}
        passed, sentence = result.pop("passed"), result.pop("sentence")
        canonical_json(result)
    except (TypeError, ValueError, KeyError) as error:
        raise _no_result(name, f"{type(given).__name__}: {type(error).__name__} {error}") from error
    if passed not in (True, False, None) or not isinstance(passed, bool | None) or not isinstance(sentence, str):
        raise _no_result(name, f"passed {passed!r}, sentence {sentence!r}")
    return {**result, "gate": name, "passed": passed, "functions": contest.own_text, "sentence": sentence}


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _no_result(name: str, found: str) -> ModelError:
    return ModelError(
        "a gate of model.py gives no verdict",
        where=f"{FILE}: {name}",
        expected="a mapping with `passed` (True, False or None), `sentence` (text), and finite numbers",
        found=found[:300],
        next_step="correct the function; docs/gates.md has an example",
    )
