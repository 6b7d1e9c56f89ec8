"""`rollout`: how a challenger that has passed its gates comes to the seat."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from incumbent.config.strict import Strict


class Rollout(Strict):
    """By steps to the seat, on a share of the units; without this section a challenger gets it at once.

    Attributes:
        unit: Columns whose values are assigned together, so that a customer always meets the same model. Those of
            `evaluate.cluster`, or the keys where rows are independent: what is compared is what was assigned.
        steps: Share of the units that the challenger predicts, one step after the other. At 0 it predicts beside the
            champion, and nothing of it is published.
        cycle_days: Days of the cycle that behaviour follows, such as a week: each step lasts whole cycles.
        cycles: How many of them.
        exclude: Values of the unit that stay with the champion, as text; of several columns joined by `/`.
    """

    unit: tuple[str, ...] = Field(min_length=1)
    steps: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field((0.0, 0.1, 0.5), min_length=1)
    cycle_days: int = Field(7, ge=1)
    cycles: int = Field(1, ge=1)
    exclude: tuple[str, ...] = ()

    @field_validator("steps")
    @classmethod
    def _ever_more(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError("`rollout.steps` are shares that grow")
        return steps
