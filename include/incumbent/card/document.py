"""The card of a version: a function of what is on record, and of nothing else."""

from __future__ import annotations

from incumbent.card import judged, lived, made
from incumbent.card.blocks import Document, Facts, Section
from incumbent.card.known import Known
from incumbent.card.limits import limits


def document(known: Known, *, is_judging: bool = False) -> Document:
    """Return the card of a version.

    Args:
        known: The version and what is on record about it.
        is_judging: It is written while the version is judged and promoted: what MONITOR says of it comes later, and
            is not looked for.
    """
    lead, mood = _lead(known)
    return Document(
        title=_title(known),
        lead=lead,
        mood=mood,
        sections=(
            made.purpose(known),
            judged.gates(known),
            made.features(known),
            judged.calibration(known),
            judged.slices(known),
            judged.fairness(known),
            limits(known),
            made.data(known),
            made.training(known),
            lived.seats(known),
            lived.later(known) if is_judging else lived.followed(known),
            _digests(known),
        ),
    )


def _title(known: Known) -> str:
    name, digest = known.store.name, known.version.digest[:12]
    generations = ", ".join(str(each.entry.generation) for each in known.seats)
    return f"{name}, generation {generations}" if generations else f"{name}, version {digest}, not promoted"


def _lead(known: Known) -> tuple[str, str]:
    """Return what is most worth knowing, and whether it is good news."""
    report = known.report
    head = known.store.champion()
    if known.seats and head is not None and head.version == known.version.digest:
        state, mood = f"It holds the seat, as generation {head.generation}.", "good"
    elif known.seats:
        lost = [each.lost for each in known.seats if each.lost]
        state = (
            f"It lost the seat to a rollback: {lost[-1].rstrip('.')}."
            if lost
            else "It held the seat, and has a successor."
        )
        mood = "bad" if lost else "open"
    else:
        state, mood = "It does not hold the seat.", "open"
    return (f"{state} {report.sentence}" if report else state), mood


def _digests(known: Known) -> Section:
    version, report = known.version, known.report
    rows = [
        ("Model file", version.digest),
        ("Feature definition", version.definition),
        ("Training set", version.snapshot or "none: it was adopted"),
        ("Gate report", report.id if report else "none"),
        ("Order of the training", version.order or "not kept"),
    ]
    return Section("Digests (SHA-256)", (Facts(tuple(rows)),))
