"""The cards that a run writes down: one when a version is judged, one when it gets the seat, and neither changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from incumbent.card.document import document
from incumbent.card.known import Known
from incumbent.card.markdown import markdown
from incumbent.card.page import page
from incumbent.config import Model
from incumbent.records import ModelVersion, Record
from incumbent.store import ModelStore, generation_name


@dataclass(frozen=True)
class CardFiles(Record):
    """A card as it was written down.

    Attributes:
        version: Version digest.
        moment: What it was written at: `judged-` and the beginning of the gate report's name, or `seat-` and the
            generation.
        markdown: Digest of the stored `card.md`.
        page: Digest of the stored `card.html`.
    """

    kind: ClassVar[str] = "cards"

    version: str
    moment: str
    markdown: str
    page: str


def keep_card(store: ModelStore, model: Model, version: ModelVersion, generation: int = 0) -> tuple[CardFiles, Path]:
    """Write down the card of a version that was judged or has got the seat, and lay it out for people; once a moment.

    Args:
        store: The model's store.
        model: The model's configuration today.
        version: The version.
        generation: The seat that it has got; 0 if it was only judged.

    Returns:
        What was written down, and the page on this machine.
    """
    known = Known(store, version, model)
    report = known.report.id[:16] if known.report else "never"
    moment = f"seat-{generation_name(generation)}" if generation else f"judged-{report}"
    name = f"{version.digest}/{moment}"
    if not store.records.has(CardFiles.kind, name):
        made = document(known, is_judging=True)
        files = [store.objects.put(text.encode()) for text in (markdown(made), page(made))]
        store.records.claim(CardFiles.kind, name, CardFiles(version.digest, moment, *files).to_json())
    kept = store.records.get(CardFiles, name)
    return kept, _laid_out(store, kept)


def _laid_out(store: ModelStore, kept: CardFiles) -> Path:
    """Write the page where a person finds it, whole or not at all."""
    path = store.reports() / "cards" / f"{kept.version[:16]}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(store.objects.get(kept.page))
    temporary.replace(path)
    return path
