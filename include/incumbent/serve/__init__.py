"""Answers to single requests: what was published of a key, or the champion's prediction of a row that nobody scored.

Nothing of it is imported by a stage: it reads what the stages wrote. Only `application` knows Ray.
"""
