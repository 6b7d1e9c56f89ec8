"""What a database's refusal means: away, or not without a person; without secrets, and without values of rows."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from incumbent.errors import ConfigError, PipelineError, UnavailableError
from incumbent.redact import redact

# PEP 249's names; a driver's own class has one of them as its base.
AWAY = {"OperationalError", "InterfaceError"}
OF_DATA = {"DataError", "IntegrityError"}
DRIVERS = {*AWAY, *OF_DATA, "ProgrammingError", "InternalError", "NotSupportedError", "DatabaseError"}


def refused(error: Exception, where: str, secrets: frozenset[str]) -> PipelineError | None:
    """Return what an error of a driver or of SQLAlchemy means; None if it is of something else."""
    cause = getattr(error, "orig", None) or error
    kinds = {kind.__name__ for kind in type(cause).__mro__}
    if isinstance(error, PipelineError) or not (isinstance(error, SQLAlchemyError) or kinds & DRIVERS):
        return None
    # About the connection or the statement; what a driver says about data repeats values.
    said = "what it says may repeat values of rows" if kinds & OF_DATA else " ".join(str(cause).split())
    found = redact(f"{type(cause).__name__}: {said}", secrets)[:500]
    if kinds & AWAY or getattr(error, "connection_invalidated", False):
        return UnavailableError(
            "the database cannot be reached, or did not answer to the end",
            where=where,
            found=found,
            next_step="look whether the database is up and the connection in Airflow is right; it is tried again, and "
            "nothing of this attempt was published",
        )
    return ConfigError(
        "the database does not take the predictions",
        where=where,
        expected="a login that may select, insert, update and delete in the table and in incumbent_published, and make "
        "temporary tables; and both of these if they are not there",
        found=found,
        next_step="grant it, make the schema or the table, or correct `publish` in model.yaml; nothing was published",
    )
