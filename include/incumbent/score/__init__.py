"""Score: the pinned champion's predictions for one partition."""

from incumbent.score.score import ScoreResult, score

__all__ = ["ScoreResult", "score"]
