"""EVALUATE: does the candidate beat the champion, and how sure is that?"""

from incumbent.evaluate.contest import Contest
from incumbent.evaluate.stage import evaluate
from incumbent.evaluate.verdict import Verdict, judge

__all__ = ["Contest", "Verdict", "evaluate", "judge"]
