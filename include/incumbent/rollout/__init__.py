"""A challenger that has passed its gates predicts for a share of the units before it gets the seat.

Here and not with a stage: PROMOTE begins and ends a rollout, SCORE asks who predicts which row, MONITOR compares.
"""

from incumbent.rollout.assignment import assigned
from incumbent.rollout.plan import Plan, begin, end, found_in, open_plan
from incumbent.rollout.state import State, state_of

__all__ = ["Plan", "State", "assigned", "begin", "end", "found_in", "open_plan", "state_of"]
