"""Why a prediction says what it says: the chain behind it, and the same prediction made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.erase.keys import Key
from incumbent.errors import StoreError
from incumbent.provenance.chain import Chain, Made
from incumbent.provenance.link import BROKEN, GONE, Link, failed
from incumbent.provenance.recompute import BATCH, TOLERANCE, Again, difference, made_again, predicted_again
from incumbent.provenance.rows import Stood, found_in, history, places, shown
from incumbent.records import Part
from incumbent.score.rows import REASON, Predict
from incumbent.store.removals import removal_of

SAID = ("prediction", "probability", "probabilities", REASON)


@dataclass(frozen=True)
class Why:
    """One prediction, or a row that could not be scored, and what it rests on.

    Attributes:
        key: The key, as people may see it.
        partition: Partition key.
        stood: The content that has it, and since when.
        says: What is stored: the prediction, or the reason why there is none.
        made: What the row says made it.
        links: The chain, from the row back to the raw files, and what was made again on the way.
        again: The same, made again; None if it could not be.
        start: What it was made again from: `raw file`, or `batch content`.
        difference: By how much the two differ at the most; None if it could not be made again.
    """

    key: Mapping[str, str]
    partition: str
    stood: Stood
    says: Mapping[str, Any]
    made: Made | None
    links: tuple[Link, ...]
    again: Mapping[str, Any] | None = None
    start: str = BATCH
    difference: float | None = None

    @property
    def broken(self) -> list[Link]:
        """The links that do not hold."""
        return [link for link in self.links if link.state == BROKEN]


class Asked:
    """Questions about the predictions of one model; what one has looked up serves the next.

    Args:
        chain: The chain of the model.
        predict: Verified prediction of a version; see `incumbent.estimators.Estimator.predict`.
    """

    def __init__(self, chain: Chain, predict: Predict) -> None:
        self.chain = chain
        self.predict = predict

    def now(self, key: Key, partition: str | None = None, known_at: datetime | None = None) -> list[Why]:
        """Return what is said of a key now, or was at a moment, in one partition or in the first that has it."""
        store, model = self.chain.store, self.chain.model
        found = list[Why]()
        for stood in places(store, model, key, partition, known_at):
            found += self.rows(stood, found_in(store, stood, key))
        return found

    def past(self, key: Key, partition: str) -> list[Why]:
        """Return everything that a partition has said of a key, oldest first; what is no longer kept is said too."""
        store, found = self.chain.store, list[Why]()
        for table in (store.predictions, store.unscored):
            for stood in history(table, partition):
                try:
                    rows = found_in(store, stood, key)
                except StoreError as error:
                    found.append(self._gone(key, stood, error))
                else:
                    found += self.rows(stood, rows)
        return sorted(found, key=lambda why: (why.stood.since.timestamp() if why.stood.since else 0.0, why.stood.table))

    def rows(self, stood: Stood, rows: pa.Table) -> Iterator[Why]:
        """Yield why each of some rows of a content says what it says; what made several of them is looked at once."""
        names = [field.name for field in fields(Made) if field.name in rows.column_names]
        keys, again = rows.select(list(self.chain.model.keys)), dict[Made, Again]()
        for row in rows.to_pylist():
            made = Made(**{name: row[name] for name in names})
            if made not in again:
                features = Part(stood.part.partition, made.features_digest, stood.part.rows)
                again[made] = made_again(self.chain, features, made, keys)
            yield self._why(stood, row, made, again[made])

    def _why(self, stood: Stood, row: Mapping[str, Any], made: Made, again: Again) -> Why:
        model = self.chain.model
        # The key as text, as a person gives it; a pseudonym is one already.
        values = {name: str(pa.scalar(row[name]).cast(pa.string()).as_py()) for name in model.keys}
        hashed = frozenset(model.sensitive.hashed.get(model.batch_source, ())) & values.keys()
        key = shown(model, Key(values, {}, hashed))
        says = {name: row[name] for name in SAID if name in row}
        links = self.chain.behind(stood.table, stood.part, made)
        found, last = self._predicted(again, row, made)
        away = None if found is None and last.state != BROKEN else difference(says, found)
        if found is not None:
            last = _compared(again, away or 0.0)
        links = (*links, *again.links, last)
        return Why(key, stood.part.partition, stood, says, made, links, found, again.start, away)

    def _predicted(self, again: Again, row: Mapping[str, Any], made: Made) -> tuple[dict[str, Any] | None, Link]:
        """Return what the version says of a row now, and why not if it says nothing."""
        name, model = "prediction made again", self.chain.model
        if again.features is None:
            state = BROKEN if any(link.state == BROKEN for link in again.links) else GONE
            return None, Link(name, "", state=state, found="its features cannot be made again")
        rows = _with_key(again.features, row, model.keys)
        if not rows.num_rows:
            return None, Link(name, "", state=BROKEN, found="what is made again has no such row")
        try:
            found = predicted_again(self.chain.store, model, made, rows, self.predict)
        except Exception as error:
            return None, failed(name, error)
        plain = [*found.rows.to_pylist(), *found.aside.to_pylist()][0]
        return {each: plain[each] for each in SAID if each in plain}, Link(name, "")

    def _gone(self, key: Key, stood: Stood, error: StoreError) -> Why:
        """Return that a content is not kept any more, or is damaged."""
        removal = removal_of(self.chain.store.records, stood.table, stood.part.partition, stood.part.digest)
        state, found = (BROKEN, error.what) if removal is None else (GONE, f"taken away by {removal.why}")
        link = Link(stood.table, "", stood.part.digest, state, found)
        return Why(shown(self.chain.model, key), stood.part.partition, stood, {}, None, (link,))


def _compared(again: Again, away: float) -> Link:
    name, says = "prediction made again", f"from the {again.start}, and the version's own predict"
    if away <= TOLERANCE:
        return Link(name, f"{says}: it differs by {away:.1g}")
    return Link(name, says, state=BROKEN, found=f"it differs by {away:.3g}, more than {TOLERANCE:g}")


def _with_key(rows: pa.Table, row: Mapping[str, Any], keys: Sequence[str]) -> pa.Table:
    is_it = pa.chunked_array([pa.array([True] * rows.num_rows, pa.bool_())])
    for name in keys:
        is_it = pc.and_(is_it, pc.equal(rows[name], pa.scalar(row[name], rows.schema.field(name).type)))
    return rows.filter(is_it)
