"""Score: the pinned champion's predictions for one partition."""

from incumbent.score.score import ScoreResult, champion_of, score, scored_by_generation

__all__ = ["ScoreResult", "champion_of", "score", "scored_by_generation"]
