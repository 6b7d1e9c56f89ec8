"""Predictions of a partition, made by the champion that is pinned for it."""

from incumbent.score.explanations import Explained, explain
from incumbent.score.published import champion_rows, scored_by_challenger, scored_by_generation, scored_by_version
from incumbent.score.score import ChallengerFailed, ScoreResult, champion_of, score

__all__ = [
    "ChallengerFailed",
    "Explained",
    "ScoreResult",
    "champion_of",
    "champion_rows",
    "explain",
    "score",
    "scored_by_challenger",
    "scored_by_generation",
    "scored_by_version",
]
