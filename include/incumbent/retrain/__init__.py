"""Retrain: a policy over recorded verdicts, and durable requests that make one training each."""

from incumbent.retrain.policy import Decision, History, decide

__all__ = ["Decision", "History", "decide"]
