"""The index of the evidence: which file says what, and which point of Annex IV is answered where, or not at all."""

from __future__ import annotations

from collections.abc import Collection

from incumbent.card.annex_iv import HEADINGS, LAW, POINTS, Point
from incumbent.card.archive import PUBLIC, SIGNATURE, SUMS
from incumbent.card.blocks import Block, Cell, Document, Facts, Section, Table, Text, Word
from incumbent.card.known import Known
from incumbent.provenance.link import GONE
from incumbent.provenance.version import VersionWhy

WHAT = {
    "card.md": "the model card",
    "card.html": "the same as a page",
    "model.yaml": "the configuration that it was trained by",
    "features.sql": "the feature definition",
    "model.py": "functions in Python that the features go on with",
    "training_model.py": "functions in Python that had a part in the training",
    "training_script.py": "the script that fitted it",
    "contracts/": "what a delivery of each source had to look like",
    "records/": "the records about it, byte for byte: version, training set, training, request, gate reports, seats",
    "ledger.json": "its seats and what followed each, with when and who approved",
    "monitoring.json": "each verdict of MONITOR on what it has scored",
    "provenance.json": "each thing that it rests on, looked at: verified, agrees, gone or broken",
    "sbom.cdx.json": "the packages of its training, CycloneDX 1.6",
}
AMENDED = (
    "The points are cited from the Official Journal (OJ L, 2024/1689, 12.7.2024); whether they were amended since, and "
    "whether this system is one that they apply to, is for you to find out. An answer here is what is on record, and "
    "no declaration that it is enough."
)


def index(known: Known, names: Collection[str], looked: VersionWhy, signed_by: str) -> Document:
    """Return the index of an archive.

    Args:
        known: The version.
        names: Files of the archive, without the index.
        looked: What the look at its links has found.
        signed_by: Fingerprint of the key that signs; empty if nobody does.
    """
    broken = [each.name for each in looked.broken]
    gone = sum(each.state == GONE for each in looked.links)
    lead = "Everything that it rests on was looked at, and holds" + (f"; {gone} of it is gone by now." if gone else ".")
    if broken:
        lead = f"What it rests on does not hold: {', '.join(broken)}. See provenance.json."
    partly = sum(any(_there(name, names) for name in point.files) for point in POINTS)
    lead += (
        f" Of {len(POINTS)} points of Annex IV {partly} are answered in part, and {len(POINTS) - partly} not at all."
    )
    return Document(
        title=f"Evidence for {known.store.name}, version {known.version.digest[:12]}",
        lead=lead,
        mood="bad" if broken else "good",
        sections=(_about(known, signed_by), _files(names), *_annex(names)),
    )


def _about(known: Known, signed_by: str) -> Section:
    generations = ", ".join(str(each.entry.generation) for each in known.seats)
    signed = f"by the Ed25519 key with the fingerprint {signed_by}" if signed_by else "by nobody: no key was given"
    rows = (
        ("Model", known.store.name),
        ("Version", known.version.digest),
        ("Generation", generations or "none: it has never held the seat"),
        ("Owner", known.model.owner),
        ("Signed", signed),
    )
    how = (
        f"incumbent version evidence --verify FILE looks at every digest; unpacked, sha256sum -c {SUMS} does the same."
    )
    if signed_by:
        how += (
            f" Whose key it is, {PUBLIC} cannot say: have the key, or its fingerprint, from elsewhere. With the key: "
            "incumbent version evidence --verify FILE --key KEY, or unpacked "
            f"openssl pkeyutl -verify -pubin -inkey KEY -rawin -in {SUMS} -sigfile {SIGNATURE}."
        )
    return Section("What this is", (Facts(rows), Text(how)))


def _files(names: Collection[str]) -> Section:
    rows = [(name, what) for name, what in WHAT.items() if _there(name, names)]
    missing = [what for name, what in WHAT.items() if not _there(name, names) and not name.endswith(".py")]
    blocks: list[Block] = [Table(("file", "is"), tuple(rows))]
    if missing:
        blocks.append(Text(f"Not kept of this version: {'; '.join(missing)}."))
    return Section("Files", tuple(blocks))


def _annex(names: Collection[str]) -> list[Section]:
    sections = [Section(LAW, (Text(AMENDED),))]
    for point in POINTS:
        group = point.number.split(" ")[0]
        if group in HEADINGS and point.number.endswith("(a)"):
            sections.append(Section(f"{group}. {HEADINGS[group]}", ()))
        heading = (
            f"{point.number.split(' ')[1]} {point.text}" if " " in point.number else f"{point.number}. {point.text}"
        )
        block = _answer(point, names)
        if group in HEADINGS:
            last = sections.pop()
            sections.append(Section(last.title, (*last.blocks, Text(heading), block)))
        else:
            sections.append(Section(heading, (block,)))
    return sections


def _answer(point: Point, names: Collection[str]) -> Table:
    there = [name for name in point.files if _there(name, names)]
    word, where = Word("bad", "not here"), ""
    if there:
        word, where = Word("open", "in part"), f"{', '.join(there)}: {point.says}."
    team = f"The team supplies: {point.team if there or not point.files else 'all of it'}."
    row: tuple[Cell, ...] = (word, " ".join(filter(None, (where, team))))
    return Table(("", ""), (row,))


def _there(name: str, names: Collection[str]) -> bool:
    return name in names or (name.endswith("/") and any(each.startswith(name) for each in names))
