"""`explain`: which predictions are explained."""

from __future__ import annotations

from pydantic import Field

from incumbent.config.strict import Strict


class Explain(Strict):
    """Which predictions are explained: a third of them the largest, a third the closest calls, a third drawn by chance.

    Attributes:
        share: Share of a partition's rows; 0 explains nothing.
        most: At most so many rows of a partition.
        features: How many features of a row are told, those that add or take most.
        threshold: Of a binary task, probability from which on something is done: rows near it are the closest calls.
    """

    share: float = Field(0.01, ge=0, le=1)
    most: int = Field(3000, ge=3)
    features: int = Field(5, ge=1)
    threshold: float = Field(0.5, gt=0, lt=1)
