"""The whole chain behind a prediction, link by link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from incumbent.config import Model
from incumbent.provenance.decided import rolled_out, seat, trained
from incumbent.provenance.delivered import Files, definition_of, inputs_behind, pinned, source_of
from incumbent.provenance.link import Link, content, held
from incumbent.records import Part
from incumbent.score.write import CHAMPION
from incumbent.store import ModelStore
from incumbent.store.check_walk import Walk
from incumbent.store.place import Place


@dataclass(frozen=True)
class Made:
    """What a prediction row says of what made it; see `incumbent.score.write.MadeBy`."""

    generation: int
    version: str
    batch_digest: str
    definition: str
    features_digest: str
    variant: str = CHAMPION


class Chain:
    """The links behind a model's predictions; each file is hashed once, however many rows rest on it.

    Args:
        store: The model's store.
        model: Its configuration.
        drop: The drop folder.
    """

    def __init__(self, store: ModelStore, model: Model, drop: Place) -> None:
        self.store = store
        self.model = model
        self.walk = Walk(store)
        self.files = Files(model, drop)
        self._seen: dict[tuple[str, Part, Made], tuple[Link, ...]] = {}

    def behind(self, table: str, part: Part, made: Made) -> tuple[Link, ...]:
        """Return the links behind the rows of a content that one thing made, from the row back to the raw files.

        Args:
            table: `predictions`, or `unscored`.
            part: The content that has the rows.
            made: What they say made them.
        """
        known = (table, part, made)
        if known not in self._seen:
            self._seen[known] = tuple(self._links(table, part, made))
        return self._seen[known]

    def _links(self, table: str, part: Part, made: Made) -> Iterator[Link]:
        walk, model = self.walk, self.model
        yield from held(table, lambda: [content(walk, table, table, part)])
        decided = seat if made.variant == CHAMPION else rolled_out
        yield from decided(walk, made.generation, made.version)
        yield from trained(walk, made.version, made.definition)
        features = Part(part.partition, made.features_digest, part.rows)
        below = f"features/{made.definition[:16]}"
        says = f"{below}, partition {part.partition}"
        yield from held("features", lambda: [content(walk, "features", below, features, says)])
        yield from held("feature definition", lambda: definition_of(walk, made.definition))
        yield from held(
            "pinned inputs", lambda: pinned(walk, model, made.definition, features, made.batch_digest)
        )  # fmt: skip
        yield from held("pinned inputs", lambda: self._sources(made, features))

    def _sources(self, made: Made, features: Part) -> Iterator[Link]:
        inputs = inputs_behind(self.store, self.model, made.definition, features, made.batch_digest)
        for source, parts in {} if inputs is None else inputs.parts.items():
            for part in parts if source in self.model.sources else ():
                yield from source_of(self.walk, self.files, source, part)
