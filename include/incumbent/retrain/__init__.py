"""Retrain: a policy over recorded verdicts, and durable requests that make one training each."""

from incumbent.retrain.history import History, PastRequest
from incumbent.retrain.policy import Decision, decide

__all__ = ["Decision", "History", "PastRequest", "decide"]
