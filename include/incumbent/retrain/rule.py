"""A rule of the policy: whether it fires, by which value against which limit, and in words."""

from __future__ import annotations

from typing import Any


def ruled(rule: str, fired: bool, value: float, limit: float | None, says: str, **more: Any) -> dict[str, Any]:
    """Return what a rule says, as evidence of a decision."""
    return {"rule": rule, "fired": fired, "value": round(value, 6), "limit": limit, "says": says, **more}
