"""What a request of a model looks like, made of the contract of its batch source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from incumbent.config import Model
from incumbent.serve.refusal import Refusal
from incumbent.validate.contract import Column, SourceContract

TYPES: dict[str, Any] = {
    "int64": int, "float64": float, "string": str, "timestamp": AwareDatetime, "date": date, "bool": bool,
}  # fmt: skip
SHOWN = 10


class Part(BaseModel):
    """A part of a request: another type is refused, and so is a name that nothing has."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Request(Part):
    """What every model's request has; `key` and `row` are typed by the model's contract."""

    model: str | None = None
    key: Part | None = None
    row: Part | None = None
    partition: str | None = Field(None, description="Where to look for a published prediction; anywhere if left out.")
    features: dict[str, float | str | bool | None] = Field(
        default_factory=dict,
        description="Values of the features that a row by itself does not have; /health lists them.",
    )
    missing_context: bool = Field(
        False, description="Answer a live row even where what it looks up was not delivered for its partition."
    )

    @model_validator(mode="after")
    def _names_a_row(self) -> Request:
        if self.key is None and self.row is None:
            raise ValueError("`key` or `row` is required")
        key, row = ({} if part is None else part.model_dump(by_alias=True) for part in (self.key, self.row))
        if row and any(row.get(name) != value for name, value in key.items()):
            raise ValueError("`key` and `row` name two rows")
        return self

    def values(self) -> Mapping[str, Any]:
        """Return the row by column, or the key where there is no row."""
        given = self.key if self.row is None else self.row
        return {} if given is None else given.model_dump(by_alias=True)

    def key_values(self) -> Mapping[str, Any]:
        """Return what the key is taken from, by column."""
        return self.values() if self.key is None else self.key.model_dump(by_alias=True)


def request_of(model: Model, contract: SourceContract, is_only: bool) -> type[Request]:
    """Return the request of a model.

    Types and nulls are checked by it. What the contract says of values is written into its schema for people, and
    checked by the contract's own rules, as in a delivery.

    Args:
        model: The model's configuration.
        contract: Contract of its batch source.
        is_only: Whether no other model is served: then its name may be left out.
    """
    name = "".join(word.capitalize() for word in model.name.split("_"))
    seen = [each for each, column in contract.columns.items() if not column.kept_out]
    key = _part(f"{name}Key", contract, model.keys)
    row = _part(f"{name}Row", contract, seen)
    named: Any = Literal[model.name]
    fields: dict[str, Any] = {
        "model": (named | None, None) if is_only else (named, ...),
        "key": (key | None, Field(None, description="Key of a row, to be answered from what is published.")),
        "row": (row | None, Field(None, description="A whole row, to be scored if nothing is published of its key.")),
    }
    return create_model(f"{name}Request", __base__=Request, **fields)


def parsed(kind: type[Request], body: bytes, where: str) -> Request:
    """Return a request.

    Raises:
        Refusal: It is no JSON, or not what the contract says; values are not repeated, for they may be somebody's.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        is_json = found[0]["type"] != "json_invalid"
        examples = tuple(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in found[:SHOWN])
        raise Refusal(
            "the request is not what the contract says" if is_json else "the request is no JSON",
            reason="wrong_request" if is_json else "malformed_json",
            where=where,
            expected="the schema at /openapi.json" if is_json else "one JSON object",
            found=f"{len(found)} differences" if is_json else found[0]["msg"],
            next_step="correct what the examples name" if is_json else "send JSON in UTF-8",
            examples=examples if is_json else (),
        ) from None


def _part(name: str, contract: SourceContract, columns: Iterable[str]) -> type[Part]:
    """Return some columns; each is its alias alone, for not every column's name can be an attribute's."""
    fields: dict[str, Any] = {f"c{at}": _field(each, contract.columns[each]) for at, each in enumerate(columns)}
    return create_model(name, __base__=Part, **fields)


def _field(name: str, column: Column) -> tuple[Any, Any]:
    kind = TYPES[column.dtype]
    told = {
        "minimum": column.min,
        "maximum": column.max,
        "enum": None if column.values is None else list(column.values),
        "pattern": None if column.pattern is None else f"^(?:{column.pattern})$",
        "x-unit": column.unit or None,
    }
    said: dict[str, Any] = {
        "alias": name,
        "description": column.description or None,
        "json_schema_extra": {each: value for each, value in told.items() if value is not None} or None,
    }
    return (kind | None, Field(None, **said)) if column.nullable else (kind, Field(**said))
