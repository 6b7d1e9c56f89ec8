"""Snapshot: the pinned, content-addressed training set."""

from incumbent.snapshot.take import take

__all__ = ["take"]
