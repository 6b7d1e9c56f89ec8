"""What became of a version: its seats, who approved, and what MONITOR has seen of it."""

from __future__ import annotations

from collections import Counter

from incumbent.card.blocks import Block, Items, Section, Table, Text
from incumbent.card.known import Known
from incumbent.evaluate.words import of
from incumbent.provenance.version import rebuilds

NEWEST = 12
QUIET = ("none", "info")


def seats(known: Known) -> Section:
    """Return its entries in the ledger, with who approved."""
    if not known.seats:
        return Section("Seats and approvals", (Text("It has never held the seat."),))
    head = ("generation#", "since", "by", "approved by", "because", "lost")
    rows = tuple(
        (
            str(each.entry.generation),
            f"{each.written[:19].replace('T', ' ')} UTC",
            each.entry.action,
            each.entry.approved_by or "nobody was asked",
            each.entry.reason,
            each.lost,
        )
        for each in known.seats
    )
    blocks: list[Block] = [Table(head, rows)]
    if barred := known.store.barred().get(known.version.digest):
        blocks.append(Text(f"It lost generation {barred} to a rollback, and is not promoted again."))
    return Section("Seats and approvals", tuple(blocks))


def followed(known: Known) -> Section:
    """Return what MONITOR has said of it, and what was proved about it."""
    verdicts = known.verdicts()
    drift = [each for each in verdicts if "/drift-" in each["name"]]
    performance = [each for each in verdicts if "/performance-" in each["name"]]
    if not drift and not performance:
        blocks: list[Block] = [Text("No batch that it scored as champion has been judged by MONITOR yet.")]
    else:
        tiers = Counter(str(each["tier"]) for each in drift)
        loud = sum(number for tier, number in tiers.items() if tier not in QUIET)
        said = f"{of(len(drift), 'batches')} judged for drift, {loud} with an alarm; {len(performance)} with outcomes."
        blocks = [Text(said.replace("batche ", "batch ")), _verdicts(drift, performance)]
    proofs = [
        f"fitted again with code {proof.code.get('incumbent', '')} on {at[:19].replace('T', ' ')} UTC: {proof.verdict}"
        for at, proof in rebuilds(known.store, known.version.digest)
    ]
    if proofs:
        blocks.append(Items(tuple(proofs)))
    return Section("What MONITOR has seen", tuple(blocks))


def later(known: Known) -> Section:
    """Return where to look for what a card that is written once cannot have."""
    name = known.store.name
    said = (
        f"This card was written when the version was judged; incumbent version card {name} VERSION says what followed."
    )
    return Section("What MONITOR has seen", (Text(said),))


def _verdicts(drift: list, performance: list) -> Table:  # type: ignore[type-arg]
    newest = [*((each, "drift") for each in drift), *((each, "performance") for each in performance)]
    newest.sort(key=lambda each: (str(each[0]["partition"]), each[1]), reverse=True)
    rows = tuple((str(each["partition"]), about, str(each.get("sentence", ""))) for each, about in newest[:NEWEST])
    return Table(("partition", "about", "verdict"), rows)
