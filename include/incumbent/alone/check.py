"""Whether a file is what a contract says, without a store: read and judged as a delivery is, and nothing is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq

from incumbent.admit.order import Reason
from incumbent.alone.table import given
from incumbent.errors import BatchError, ConfigError
from incumbent.room import enough_room
from incumbent.validate.admission import admit, copied
from incumbent.validate.contract import SourceContract, load_contract
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.rules import RowRule, row_rules
from incumbent.validate.suite import Judgement, judge, judge_own

FITS, FITS_NOT = "fits the contract", "does not fit the contract"
EXAMPLES = 5
MOST_SAID, MOST_ADDED = 3, 20
ADDED = "columns.added"


@dataclass(frozen=True)
class Check:
    """What a contract says of a table.

    Attributes:
        verdict: `fits the contract` or `does not fit the contract`.
        sentence: The verdict for a person.
        source: The source whose contract it was held against.
        rows: Rows that were read.
        rules: How many rules and expectations were judged.
        broken: Those that do not hold: severity, how many rows, the reason, and the first rows with their values.
        aside: Rows that an ingest would set aside.
        stopped: Whether an ingest would stop the whole.
        notes: What else should be known, such as rules that a file alone cannot be held against.
    """

    schema: ClassVar[str] = "incumbent.check/1"

    verdict: str
    sentence: str
    source: str
    rows: int
    rules: int
    broken: tuple[Mapping[str, Any], ...]
    aside: int
    stopped: bool
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing but a warning does not hold."""
        return self.verdict == FITS

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"schema": self.schema, **asdict(self), "passed": self.passed}


def check(data: Any, contract: str | Path, *, source: str | None = None, expectations: bool = True) -> Check:
    """Say whether a table is what a contract says, rule by rule.

    A file is read as a delivery is: by a process of its own, in the contract's types.

    Args:
        data: A path (Parquet, CSV, JSON lines), an Arrow table or a data frame.
        contract: Path of a `contract.yaml`.
        source: Which of its sources; not needed if there is one.
        expectations: Whether the contract's own Great Expectations are run, which takes seconds.

    Raises:
        ConfigError: The contract cannot be used.
        BatchError: There is no such file.
    """
    name, held = _source(Path(contract), source)
    if not expectations:
        held = held.model_copy(update={"expectations": ()})
    with tempfile.TemporaryDirectory(prefix="incumbent-") as scratch:
        folder = Path(scratch)
        path, said = _file(data, folder, held)
        with enough_room(said, "check a part of the rows"):
            copy, _ = copied(path, folder, held.policy.max_bytes)
            rules = row_rules(held, None, name, "")
            rows = DeliveredRows(folder, held, name, rules)
            try:
                noted = admit(path, copy, _with_added(held), rows)
            except BatchError as error:
                if error.reason == Reason.NOT_FOUND:
                    raise
                return _refused(name, error, said, str(path))
            return _judged(name, held, rows, noted)


def _source(path: Path, source: str | None) -> tuple[str, SourceContract]:
    sources = load_contract(path).sources
    if source is None and len(sources) == 1:
        return next(iter(sources.items()))
    if source is None or source not in sources:
        raise ConfigError(
            "the contract has several sources" if source is None else "the contract has no such source",
            where=f"{path}: sources",
            expected=f"one of {', '.join(sources)}" if sources else "a source",
            found=source or "none named",
            next_step="name it with --source" if sources else "describe a source",
        )
    return source, sources[source]


def _with_added(contract: SourceContract) -> SourceContract:
    """Return a contract by which a column that it does not name is noted also where an ingest drops it silently."""
    evolution = contract.evolution
    if evolution.added == "drop":
        evolution = evolution.model_copy(update={"added": "warn"})
    return contract.model_copy(update={"evolution": evolution})


def _file(data: Any, folder: Path, contract: SourceContract) -> tuple[Path, str]:
    """Return a file and what messages call it: of a table in memory one that is written for it."""
    if isinstance(data, str | Path):
        return Path(data), str(data)
    path = folder / "table.parquet"
    pq.write_table(given(data, "the table", contract.masked).rows, path)
    return path, "the table"


def _refused(source: str, error: BatchError, said: str, path: str) -> Check:
    """Return the verdict on a file that is not even read to its end."""
    where = error.where.replace(path, said)
    broken = {
        "rule": str(error.reason), "severity": "stop", "rows": None, "reason": error.what, "where": where,
        "expected": error.expected, "found": None if error.found is None else str(error.found), "examples": (),
    }  # fmt: skip
    sentence = f"{FITS_NOT}: {error.what} ({where})"
    return Check(FITS_NOT, sentence, source, 0, 0, (broken,), 0, True, ())


def _judged(name: str, contract: SourceContract, rows: DeliveredRows, noted: Mapping[str, str]) -> Check:
    tally = rows.tally()
    judgements = [*judge(contract, rows.rules, tally), *_own(rows, contract, name)]
    by_name = {rule.name: rule for rule in rows.rules}
    failed = [found for found in judgements if not found.success]
    broken = tuple(_broken(found, by_name.get(found.rule), rows) for found in failed)
    aside = rows.set_aside([by_name[found.rule] for found in failed if found.severity == "quarantine"])
    share = aside / max(tally.rows, 1)
    stops = any(found.severity == "stop" for found in failed)
    stopped = stops or share > contract.policy.max_quarantine_share or 0 < tally.rows == aside
    verdict = FITS_NOT if any(found.severity != "warn" for found in failed) else FITS
    return Check(
        verdict=verdict,
        sentence=_sentence(verdict, tally.rows, len(judgements), broken, aside),
        source=name,
        rows=tally.rows,
        rules=len(judgements),
        broken=broken,
        aside=aside,
        stopped=stopped,
        notes=_notes(contract, noted),
    )


def _own(rows: DeliveredRows, contract: SourceContract, name: str) -> list[Judgement]:
    try:
        return judge_own(rows, contract, name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the contract has expectations of its own, and what runs them is not installed",
            where=f"contract.yaml, sources.{name}.expectations",
            expected="great-expectations, duckdb-engine",
            found=error,
            next_step="install them, or leave these expectations out with --no-expectations",
        ) from error


def _broken(found: Judgement, rule: RowRule | None, rows: DeliveredRows) -> dict[str, Any]:
    """Return what does not hold, with the first rows that break it."""
    count = found.result.get("unexpected_count")
    examples = [] if rule is None else rows.examples(rule, EXAMPLES)
    return {
        "rule": found.rule or found.expectation,
        "severity": found.severity,
        "rows": None if count is None else int(count),
        "reason": rule.reason if rule else f"{found.expectation} does not hold (found {found.observed})",
        "where": rule.column if rule else "",
        "expected": None,
        "found": None if rule else found.observed,
        "examples": tuple({"row": row, "value": value} for row, value in examples),
    }


def _notes(contract: SourceContract, noted: Mapping[str, str]) -> tuple[str, ...]:
    notes = [f"{name}: {said}" for name, said in noted.items() if name != ADDED]
    if ADDED in noted:
        names = noted[ADDED].removeprefix("warn: ").split(", ")
        more = f" and {len(names) - MOST_ADDED} more" if len(names) > MOST_ADDED else ""
        are = "column is" if len(names) == 1 else "columns are"
        notes.append(f"{len(names)} {are} not in the contract and not read: {', '.join(names[:MOST_ADDED])}{more}")
    if contract.freshness is not None:
        notes.append("fresh is not judged: it is about the end of a partition")
    if contract.learned.rows is not None or contract.learned.means:
        notes.append("usual.… is not judged: it is about past deliveries")
    return tuple(notes)


def counted(rows: int) -> str:
    """Return a number of rows in words.

    >>> counted(1), counted(1200)
    ('1 row', '1,200 rows')
    """
    return f"{rows:,} row{'s' * (rows != 1)}"


def _sentence(verdict: str, rows: int, rules: int, broken: Sequence[Mapping[str, Any]], aside: int) -> str:
    if not broken:
        return f"{verdict}: {counted(rows)}, {rules} rules"
    named = [f"{each['rule']}" + ("" if each["rows"] is None else f" ({counted(each['rows'])})") for each in broken]
    more = f" and {len(named) - MOST_SAID} more" if len(named) > MOST_SAID else ""
    said = f"{', '.join(named[:MOST_SAID])}{more}"
    text = f"{verdict}: {len(broken)} of {rules} rules do not hold in {counted(rows)}: {said}"
    return text + (f"; {counted(aside)} would be set aside" if aside else "")
