"""Where some parameters lie in the space of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incumbent.config import Choice, Range

Space = Mapping[str, Range | Choice]


def is_within(space: Space, params: Mapping[str, Any]) -> bool:
    """Return whether each parameter of a space has a value of its range or list.

    >>> is_within({"max_depth": Range(low=3, high=9)}, {"max_depth": 6})
    True
    """
    return all(name in params and _contains(values, params[name]) for name, values in space.items())


def nearest(space: Space, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the point of a space that is nearest to some parameters; None where a list has not the value.

    >>> nearest({"max_depth": Range(low=3, high=9)}, {"max_depth": 12})
    {'max_depth': 9}
    """
    found: dict[str, Any] = {}
    for name, values in space.items():
        value = params[name]
        if isinstance(values, Range):
            if isinstance(value, str):
                return None
            value = min(max(value, values.low), values.high)
            value = round(value) if is_whole(values) else float(value)
        elif value not in values:
            return None
        found[name] = value
    return found


def _contains(values: Range | Choice, value: Any) -> bool:
    if not isinstance(values, Range):
        return value in values
    if isinstance(value, str) or not values.low <= value <= values.high:
        return False
    return not is_whole(values) or value == int(value)


def is_whole(values: Range) -> bool:
    """Return whether a range is one of whole numbers."""
    return isinstance(values.low, int) and isinstance(values.high, int)
