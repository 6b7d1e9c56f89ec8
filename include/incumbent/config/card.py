"""`card`: what a model card says that no record knows."""

from __future__ import annotations

from incumbent.config.strict import Strict


class Card(Strict):
    """What a model card says in your own words, beside what is on record; see docs/cards.md.

    Attributes:
        use: What the predictions are for, and who does what with them.
        not_for: What they are not for.
        limits: Known limits, a sentence each.
    """

    use: str = ""
    not_for: str = ""
    limits: tuple[str, ...] = ()
