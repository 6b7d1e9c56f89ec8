"""Answers and refusals as HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from fastapi import Response

from incumbent.serve.refusal import Refusal

JSON = "application/json"


def as_response(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return something as JSON."""
    text = json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status_code=status, media_type=JSON, headers=headers)


def refusal_response(refusal: Refusal) -> Response:
    """Return a refusal with what its status asks for."""
    headers = {
        "busy": {"Retry-After": "1"},
        "too_large": {"Connection": "close"},
        "no_token": {"WWW-Authenticate": "Bearer"},
        "wrong_token": {"WWW-Authenticate": "Bearer"},
    }
    return as_response(refusal.to_json(), refusal.status, headers.get(refusal.reason))


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no part of an answer")
