"""Predictions of rows that nobody scored: the champion's, from features that its own definition computes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from incumbent.admit.columns import ARROW_TYPES
from incumbent.config import Model
from incumbent.errors import PipelineError
from incumbent.features.compute import Prepared, quoted
from incumbent.features.definition import stored_text
from incumbent.features.inputs import Delivered
from incumbent.records import ModelVersion, Promotion
from incumbent.score.rows import REASON, Predict, scored
from incumbent.serve.context import Context, Parts, Seen
from incumbent.serve.proof import Proof, proven
from incumbent.serve.refusal import Refusal, refused
from incumbent.store import ModelStore
from incumbent.store.salt import pseudonyms, salt
from incumbent.validate.contract import SourceContract
from incumbent.validate.rules import KEY_RULE, row_rules


@dataclass(frozen=True)
class LiveRow:
    """A row that is to be scored.

    Attributes:
        partition: Partition that its time lies in.
        values: The contract's columns; those that features do not see are not among them.
        features: Values of the features that it cannot have by itself.
        missing_context: Whether it may be scored without context of its partition.
    """

    partition: str
    values: Mapping[str, Any]
    features: Mapping[str, Any]
    missing_context: bool = False


class LiveModel:
    """The version of one generation, ready to score rows; for one thread at a time.

    Args:
        store: The model's store.
        model: Its configuration.
        contract: Contract of its batch source.
        promotion: The generation.
        now: What was delivered of each source.
        predict: Verified prediction of a version; see `incumbent.estimators.predictor`.
        before: Who has the seat: with the same definition over the same context, what is at hand for it serves on.

    Raises:
        ModelError: The model file is missing or altered, or cannot be parsed.
        StoreError: Something else of the version, or what it looks up, is missing or altered.
        FeatureError: The definition does not run.
    """

    def __init__(
        self,
        store: ModelStore,
        model: Model,
        contract: SourceContract,
        promotion: Promotion,
        now: Delivered,
        predict: Predict,
        before: LiveModel | None = None,
    ) -> None:
        self.promotion, self.now = promotion, now
        self.version = store.records.get(ModelVersion, promotion.version)
        self._model, self._predict = model, predict
        self._hashed = set(contract.hashed)
        self._secret = salt(store.blobs) if self._hashed else b""
        self._schema = visible(contract)
        text = stored_text(store, self.version.definition)
        if before is not None and (before.version.definition, before.now) == (self.version.definition, now):
            self._context: Context[AtHand] = before._context
            self.proof: Proof = before.proof
        else:
            self._context = Context(store, model, now, partial(AtHand, text, contract, model, self._schema))
            self.proof = proven(store, model, self.version.definition, now, self._alone)
        self._warm()

    def answers(self, rows: Sequence[LiveRow]) -> list[dict[str, Any] | Refusal]:
        """Return what the version says of each row, or why it says nothing.

        Rows of one partition are computed together, but never two with one key.
        """
        found: dict[int, dict[str, Any] | Refusal] = {}
        together: dict[tuple[str, int], list[list[int]]] = defaultdict(list)
        with_key: dict[tuple[object, ...], list[list[int]]] = defaultdict(list)
        for at, row in enumerate(rows):
            others = with_key[row.partition, *(row.values[name] for name in self._model.keys)]
            for places in others:
                if rows[places[0]] == row:  # asked twice at the same time
                    places.append(at)
                    break
            else:
                together[row.partition, len(others)].append([at])
                others.append(together[row.partition, len(others)][-1])
        for (partition, _), asked in together.items():
            said = self._together(partition, [rows[places[0]] for places in asked])
            for places, each in zip(asked, said, strict=True):
                found.update(dict.fromkeys(places, each))
        return [found[at] for at in range(len(rows))]

    def _together(self, partition: str, rows: Sequence[LiveRow]) -> list[dict[str, Any] | Refusal]:
        looked = self._context.of(partition)
        found: list[dict[str, Any] | Refusal | None] = [self._lacks(row, looked) for row in rows]
        left = [at for at, each in enumerate(found) if each is None]
        if left:
            for at, said in zip(left, self._computed(partition, looked, [rows[at] for at in left]), strict=True):
                found[at] = said
        return [each for each in found if each is not None]

    def _computed(self, partition: str, looked: Seen, rows: Sequence[LiveRow]) -> list[dict[str, Any] | Refusal]:
        try:
            return self._scored(partition, looked, rows)
        except PipelineError as error:
            if len(rows) > 1:  # one row that cannot be computed is not the others' fault
                return [self._computed(partition, looked, [row])[0] for row in rows]
            return [refused("unscorable", error)]

    def _scored(self, partition: str, looked: Seen, rows: Sequence[LiveRow]) -> list[dict[str, Any] | Refusal]:
        table, at_hand = self._table(rows), self._context.opened(partition, looked)
        at_hand.features.put(table)
        broken = at_hand.broken()
        good = [at for at, reason in enumerate(broken) if reason is None]
        keys, by_key = list(self._model.keys), dict[tuple[object, ...], dict[str, Any] | Refusal]()
        names = [tuple(row.values()) for row in table.select(keys).to_pylist()]
        if good:
            if len(good) < len(rows):
                table = table.take(pa.array(good))
                at_hand.features.put(table)
            features = self._with_given(at_hand.features.rows(table), {names[at]: rows[at].features for at in good})
            done = scored(self.version, features, keys, self._predict)
            for row in done.rows.to_pylist():
                key = tuple(row.pop(name) for name in keys)
                by_key[key] = {**row, **self._made(partition, looked)}
            for row in done.aside.to_pylist():
                by_key[tuple(row[name] for name in keys)] = self._cannot(row[REASON])
        return [
            by_key[name] if reason is None else self._breaks(reason) for name, reason in zip(names, broken, strict=True)
        ]

    def _alone(self, parts: Parts, batch: pa.Table, partition: str) -> pa.Table:
        """Return the features of some rows, each computed by itself over exact contents."""
        context = {name: each for name, each in parts.items() if name in self._model.context_sources}
        features = self._context.opened(partition, Seen(context, (), "proof")).features
        rows, found = batch.select(self._schema.names).cast(self._schema), list[pa.Table]()
        for at in range(rows.num_rows):
            features.put(rows.slice(at, 1))
            found.append(features.rows(rows.slice(at, 1)))
        return pa.concat_tables(found)

    def _warm(self) -> None:
        """Predict once, so that what cannot be read or run fails now, and the first request does not wait for it."""
        if self.proof.rows is not None:
            scored(self.version, self.proof.rows, self._model.keys, self._predict)

    def _table(self, rows: Sequence[LiveRow]) -> pa.Table:
        plain = [{name: self._stored(name, row.values.get(name)) for name in self._schema.names} for row in rows]
        return pa.Table.from_pylist(plain, self._schema)

    def _stored(self, name: str, value: Any) -> Any:
        return pseudonyms(self._secret, [value])[0] if name in self._hashed and value is not None else value

    def _with_given(self, rows: pa.Table, given: Mapping[tuple[object, ...], Mapping[str, Any]]) -> pa.Table:
        """Return feature rows in which what a row cannot know by itself is what the request says."""
        if not self.proof.of_the_batch:
            return rows
        keys = [tuple(row.values()) for row in rows.select(list(self._model.keys)).to_pylist()]
        for name in self.proof.of_the_batch:
            field = rows.schema.field(name)
            values = pa.array([given[key][name] for key in keys]).cast(field.type)
            rows = rows.set_column(rows.column_names.index(name), field, values)
        return rows

    def _lacks(self, row: LiveRow, looked: Seen) -> Refusal | None:
        where = f"model {self._model.name}, partition {row.partition}"
        wanted = self.proof.of_the_batch
        if sorted(row.features) != sorted(wanted):
            return Refusal(
                "a row by itself does not have all features",
                reason="features_missing",
                where=where,
                expected=f"features: {', '.join(wanted)}" if wanted else "no features: they are all computed",
                found=", ".join(sorted(row.features)) or "none",
                next_step="say exactly these in `features`, null where a value is not known",
            )
        if looked.missing and not row.missing_context:
            return Refusal(
                "what the features look up was not delivered yet",
                reason="context_missing",
                where=where,
                expected=f"an accepted delivery of {', '.join(looked.missing)}",
                found="none",
                next_step="ask again when it is there, or say `missing_context: true` to be answered without it",
            )
        return None

    def _made(self, partition: str, looked: Seen) -> dict[str, Any]:
        return {
            "generation": self.promotion.generation,
            "version": self.version.digest,
            "definition": self.version.definition,
            "partition": partition,
            "context": looked.digest,
            "missing_context": list(looked.missing),
        }

    def _breaks(self, reason: str) -> Refusal:
        where = f"model {self._model.name}, contract of {self._model.batch_source}"
        what, step = "the row breaks a rule of the contract", "correct the row: in a delivery it would be set aside"
        return Refusal(what, reason="row_breaks_contract", where=where, found=reason, next_step=step)

    def _cannot(self, reason: str) -> Refusal:
        where = f"model {self._model.name}, generation {self.promotion.generation}"
        step = "look at the values of the row; in a batch it would be set aside"
        return Refusal("the row cannot be scored", reason="unscorable", where=where, found=reason, next_step=step)


class AtHand:
    """What works over the context of one partition: its features, and the rules of the contract.

    The rules are those by which deliveries are judged; of a column that features do not see none is asked.
    """

    def __init__(
        self,
        text: str,
        contract: SourceContract,
        model: Model,
        columns: pa.Schema,
        connection: duckdb.DuckDBPyConnection,
        partition: str,
    ) -> None:
        self._connection = connection
        self.features = Prepared(connection, text, model, partition, columns)
        there = set(columns.names)
        self._rules = [
            rule
            for rule in row_rules(contract, model, model.batch_source, partition)
            if rule.name != KEY_RULE and rule.severity != "warn" and (not rule.column or rule.column in there)
        ]
        hidden = [name for name in contract.columns if name not in there]
        columns = ", ".join(["*", *(f"NULL AS {quoted([name])}" for name in hidden)])  # a null counts as good
        cases = " ".join(f"WHEN NOT ({rule.good}) THEN {at}" for at, rule in enumerate(self._rules))
        case = f"CASE {cases} END" if cases else "NULL"
        connection.execute(f"PREPARE rules AS SELECT {case} FROM (SELECT {columns} FROM batch)")

    def broken(self) -> list[str | None]:
        """Return the rule that each row of the batch breaks, if one."""
        found = self._connection.execute("EXECUTE rules").fetchall()
        return [None if at is None else f"{self._rules[at].name}: {self._rules[at].reason}" for (at,) in found]


def visible(contract: SourceContract) -> pa.Schema:
    """Return the columns of a source that features see, as they are stored."""
    seen = {name: ARROW_TYPES[column.stored] for name, column in contract.columns.items() if not column.kept_out}
    return pa.schema(list(seen.items()))
