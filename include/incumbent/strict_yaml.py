"""YAML files read into strict objects: what is wrong with one is one message with its file, line and key."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args

import yaml
import yaml.composer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from incumbent.errors import ConfigError

MAX_YAML_BYTES = 256 * 1024
T = TypeVar("T", bound=BaseModel)


def read_yaml(path: Path, kind: type[T]) -> T:
    """Read one YAML file into a strict object.

    Raises:
        ConfigError: The file is missing, is no YAML, or a key or value does not fit; the message
            names the file, the key, what was expected and what was found.
    """
    plain = read_plain(path)
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        key = _key(first)
        # From None: who reads it in Airflow sees the message, and not twenty lines of somebody else's code above it.
        raise ConfigError(
            "a key does not fit" if not others else f"{len(others) + 1} keys do not fit",
            where=f"{path}: {key}" if key else str(path),
            expected=_expected(kind, first),
            found=_found(first),
            next_step=f"correct `{key}`" if key else "correct what is expected above",
            examples=[": ".join(filter(None, [_key(each), _expected(kind, each)])) for each in others],
        ) from None


def read_plain(path: Path) -> Any:
    """Return what a YAML file says, in plain types.

    Raises:
        ConfigError: The file is missing, or is no YAML that this project takes.
    """
    text = read_text(path)
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader subclass
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            "not valid YAML",
            where=f"{path}, line {mark.line + 1}" if mark else str(path),
            expected="each key once, as plain text, and values that can be read",
            found=" ".join(str(error).split()),
            next_step="correct the line named above",
        ) from error


def read_text(path: Path) -> str:
    """Return a text file of a model folder, or say which file is missing."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(
                "file is too large",
                where=str(path),
                expected=f"at most {MAX_YAML_BYTES} bytes",
                found=path.stat().st_size,
                next_step="keep data out of the model folder",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "file cannot be read",
            where=str(path),
            expected="a UTF-8 text file",
            found=error,
            next_step="add the file, or correct what names it (`extends` in contract.yaml); see docs/model-folder.md",
        ) from error


class _StrictLoader(yaml.composer.Composer, yaml.CSafeLoader):
    """SafeLoader that refuses a key written twice and every alias (no expansion bombs).

    What cannot be read is an error with its place: a SafeLoader lets the ValueError of a 30 February
    through, which names neither file nor key. libyaml reads the text, because each DAG file reads every
    model folder; its composer is not used, because the brackets of a deep nesting kill the process there.
    """

    def __init__(self, stream: Any) -> None:
        yaml.CSafeLoader.__init__(self, stream)
        yaml.composer.Composer.__init__(self)
        self.keys: dict[yaml.Node, str] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            alias: Any = self.get_event()
            raise yaml.constructor.ConstructorError(None, None, "aliases are not used here", alias.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if isinstance(node, yaml.SequenceNode):
            self.keys |= dict.fromkeys(node.value, self.keys.get(node, ""))
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            problem = f"`{self.keys.get(node, '')}`: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        section = self.keys.get(node, "")
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                problem = (
                    f"`{section}`: a key is plain text, here it is a list or a mapping (doubled braces {{{{ }}}}?)"
                )
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
            self.keys[value_node] = f"{section}.{key}" if section else str(key)
        return super().construct_mapping(node, deep=deep)


def _key(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"])


def _found(error: ErrorDetails) -> object:
    """Return what one problem says is there."""
    if error["type"] == "missing":
        return "absent"
    if error["type"] == "extra_forbidden":
        return f"{error['loc'][-1]}, which is none of them"
    value = error["input"]
    return f"keys {', '.join(map(str, value))}" if isinstance(value, dict) else value


def _expected(kind: type[BaseModel], error: ErrorDetails) -> str:
    """Return what one problem says should be there; of an unknown key what may have been meant, and all there are."""
    if error["type"] == "missing":
        return "a value for this key"
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    known = _known_keys(kind, error["loc"])
    near = get_close_matches(str(error["loc"][-1]), known, n=1)
    every = f"one of the keys {', '.join(known)}" if known else "a known key"
    return f"{near[0]}? It is {every}" if near else every


def _known_keys(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section that a location lies in; none where any key may stand."""
    section: Any = kind
    for part in location[:-1]:
        if _is_section(section):
            field = section.model_fields.get(str(part))
            section = None if field is None else field.annotation
            if isinstance(section, UnionType):  # a section that may be absent
                section = get_args(section)[0]
        else:  # of a mapping or a list, what is in it
            section = next((inner for inner in get_args(section)[::-1] if inner is not Ellipsis), None)
    return list(section.model_fields) if _is_section(section) else []


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
