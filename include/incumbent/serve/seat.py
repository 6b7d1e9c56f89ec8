"""Who answers live rows: the champion of now, exchanged between two requests when the ledger or context moves on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from incumbent.errors import PipelineError
from incumbent.features.inputs import Delivered
from incumbent.records import Promotion, digest_of
from incumbent.serve.live import LiveModel
from incumbent.serve.refusal import Refusal, refused

LOG = logging.getLogger(__name__)
Load = Callable[[Promotion, Delivered], LiveModel]


class Seat:
    """The version that answers, and why the next one does not.

    A new champion is loaded, verified and warmed beside the one that answers, which goes on until then. One that
    cannot be loaded does not get the seat: who has it keeps it, and `problem` says why.

    Args:
        name: The model.
        champion: Returns the newest entry of the ledger.
        delivered: Returns what was delivered of each source.
        load: Returns a version that is ready.
    """

    def __init__(
        self, name: str, champion: Callable[[], Promotion | None], delivered: Callable[[], Delivered], load: Load
    ) -> None:
        self._name, self._champion, self._delivered, self._load = name, champion, delivered, load
        self._of = ""
        self.holder: LiveModel | None = None
        self.problem: PipelineError | None = None

    def refresh(self) -> bool:
        """Look whether another version, or other context, answers from now on; return whether it does."""
        try:
            promotion, now = self._champion(), self._delivered()
            if promotion is None:
                return False
            wanted = _state(promotion, now)
            if wanted == self._of:
                self.problem = None
                return False
            loaded = self._load(promotion, now)
        except PipelineError as error:
            if self.problem is None or str(self.problem) != str(error):
                LOG.warning("model %s: the champion cannot be loaded: %s", self._name, error.what)
            self.problem = error
            return False
        # In one step. Requests that have the old one hold on to it, and its memory goes when the last of them is done.
        self.holder, self._of, self.problem = loaded, wanted, None
        LOG.info("model %s: generation %d answers live rows", self._name, promotion.generation)
        return True

    def taken(self) -> LiveModel:
        """Return who answers.

        Raises:
            Refusal: Nobody does.
        """
        if self.holder is not None:
            return self.holder
        if self.problem is not None:
            raise refused("champion_unreadable", self.problem)
        raise Refusal(
            "there is no champion yet",
            reason="no_champion",
            where=f"ledger of {self._name}",
            expected="a promotion",
            found="none",
            next_step="let the first training pass its gates; published predictions are answered meanwhile",
        )


def _state(promotion: Promotion, now: Delivered) -> str:
    contents = {name: {key: part.digest for key, part in parts.items()} for name, parts in now.items()}
    return digest_of({"generation": promotion.generation, "version": promotion.version, "now": contents})
