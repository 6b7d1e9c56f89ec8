"""What every configuration object is: immutable, strict about its keys; and the names that they share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

NAME = r"^[a-z][a-z0-9_]{0,62}$"
CONNECTION = r"[A-Za-z0-9_.-]{1,250}"
LOCAL_DATE = "local_date"  # the column that stages add to rows: the day of `time` in the model's zone


class Strict(BaseModel):
    """Base of every configuration object: immutable, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
