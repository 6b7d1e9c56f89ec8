"""Requests that are not answered: why, as a code for programs and in the words of any other error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incumbent.errors import PipelineError

SCHEMA = "incumbent.error/1"
# Reason code to HTTP status.
STATUS: Mapping[str, int] = {
    "malformed_json": 400,
    "no_token": 401,
    "wrong_token": 401,
    "unknown_model": 404,
    "unknown_key": 404,
    "context_missing": 409,
    "too_large": 413,
    "wrong_request": 422,
    "row_breaks_contract": 422,
    "features_missing": 422,
    "unscorable": 422,
    "busy": 429,
    "failed": 500,
    "no_champion": 503,
    "champion_unreadable": 503,
}


class Refusal(PipelineError):
    """A request that is not answered.

    Attributes:
        reason: One of `STATUS`.
    """

    def __init__(self, what: str, *, reason: str, **fields: Any) -> None:
        super().__init__(what, **fields)
        self.reason = reason

    @property
    def status(self) -> int:
        """HTTP status."""
        return STATUS[self.reason]

    def to_json(self) -> dict[str, Any]:
        """Return what the client is sent."""
        return {"schema": SCHEMA, "reason": self.reason, "status": self.status, **super().to_json()}


def refused(reason: str, error: PipelineError) -> Refusal:
    """Return an error of the product as the reason why a request is not answered."""
    names = ("where", "expected", "found", "next_step", "examples")
    return Refusal(error.what, reason=reason, **{name: getattr(error, name) for name in names})
