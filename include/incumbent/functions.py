"""The functions of a model folder's `model.py`: found by its text, and run by tasks alone.

DAG files read every model folder. So which functions there are is told from the syntax, and nothing of the text is run
before a task calls one of them.
"""

from __future__ import annotations

import ast
import linecache
import symtable
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from incumbent.errors import ConfigError, PipelineError, TrainingError
from incumbent.records import digest_of
from incumbent.sensitive import quotable

FILE = "model.py"
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "metric": ("labels", "predictions", "weights"),
    "objective": ("labels", "margins", "weights"),
    "split": ("rows",),
    "features": ("table", "context"),
}
DIRECTION = "METRIC_LARGER_IS_BETTER"
GATE = "gate_"  # how the name of a gate begins; there may be any number of them
GATE_ARGUMENTS = ("contest",)


def is_gate(name: str) -> bool:
    """Return whether a function is a gate, by its name.

    >>> is_gate("gate_large_orders"), is_gate("gate_"), is_gate("metric")
    (True, False, False)
    """
    return name.startswith(GATE) and name != GATE


def page_of(name: str) -> str:
    """Return the page that describes a function."""
    return "docs/gates.md" if is_gate(name) else "docs/model-py.md"


def arguments_of(name: str) -> tuple[str, ...]:
    """Return what a function is given."""
    return GATE_ARGUMENTS if is_gate(name) else ARGUMENTS[name]


@dataclass(frozen=True)
class Functions:
    """What a `model.py` defines.

    Attributes:
        text: The file; empty where there is none.
        defined: Its functions, of those that are known.
        hide: Whether what a failing function says may be somebody's values.
    """

    text: str = ""
    defined: frozenset[str] = frozenset()
    hide: bool = False

    @classmethod
    def of(cls, text: str, where: str = FILE) -> Functions:
        """Return what a text defines.

        Args:
            text: The file.
            where: Its path, for people.

        Raises:
            ConfigError: It is no Python, or a name in it is not what it seems to be.
        """
        try:
            body = ast.parse(text, where).body
            names = symtable.symtable(text, where, "exec").get_symbols()
        except (SyntaxError, ValueError, RecursionError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise _refusal(f"{where}{line}", "Python", str(error), "correct the line named above") from error
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        for node in functions:
            _check(node, where)
        defined = frozenset(node.name for node in functions if not node.name.startswith("_"))
        known = {name.get_name() for name in names if name.is_assigned() or name.is_imported()}
        for name in sorted(known - defined):
            function = name in ARGUMENTS or is_gate(name)
            if function or (name.startswith("METRIC") and name != DIRECTION):
                expected = f"`def {name}` in the file itself" if function else DIRECTION
                raise _refusal(where, expected, f"`{name}`, which is something else", f"rename `{name}`, or correct it")
        return cls(text, defined)

    def __contains__(self, name: str) -> bool:
        """Return whether a function is defined."""
        return name in self.defined

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger score of `metric` is the better one.

        Raises:
            ConfigError: The file says neither yes nor no.
        """
        found = self._loaded().get(DIRECTION, True)
        if not isinstance(found, bool):
            raise _refusal(f"{FILE}: {DIRECTION}", "True or False", repr(found), f"correct {DIRECTION}")
        return found

    def call(self, name: str, *arguments: Any, error: type[PipelineError] = TrainingError, where: str = FILE) -> Any:
        """Return what a function gives.

        Args:
            name: One that is defined.
            arguments: Its own.
            error: What to raise when it fails.
            where: What it was called for, for people.

        Raises:
            PipelineError: It fails; the message names the line.
        """
        function = self._loaded()[name]
        try:
            return function(*arguments)
        except Exception as failure:  # whatever it is, it is the function's
            failed = error(
                "a function of model.py failed",
                where=f"{where}, line {_line(failure, self.text)}: {name}",
                expected=f"{name}({', '.join(arguments_of(name))}) to return; {page_of(name)} says what",
                found=_said(failure, self.hide),
                next_step="correct the function; try it on a table of your own",
            )
            raise failed from (None if self.hide else failure)

    def _loaded(self) -> dict[str, Any]:
        """Return the names of the file, once it has run.

        Raises:
            ConfigError: It cannot be run.
        """
        try:
            return _run(self.text)
        except Exception as failure:  # whatever it is, it is the file's, which has seen no row yet
            where = f"{FILE}, line {_line(failure, self.text)}"
            remedy = "correct the file; what it imports is needed wherever tasks and Ray workers run"
            raise _refusal(where, "a file that can be imported", _said(failure, hide=False), remedy) from failure


@cache
def _run(text: str) -> dict[str, Any]:
    """Run a text as a module of its own, once a process."""
    name = _name(text)
    module = ModuleType(name)
    # Dataclasses and others look their module up by its name, tracebacks its lines by its file.
    sys.modules[name] = module
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the folder's own code
    return vars(module)


def _name(text: str) -> str:
    return f"incumbent_model_py_{digest_of(text.encode())[:16]}"


def _line(failure: Exception, text: str) -> int:
    """Return the last line of the text that an error came through."""
    frames = traceback.extract_tb(failure.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == _name(text)), 1)


def _said(failure: Exception, hide: bool) -> str:
    said = quotable(failure, hide)
    return said if hide else f"{type(failure).__name__}: {said}"


def _check(node: ast.FunctionDef, where: str) -> None:
    """Refuse a public function that nobody would call, or not with these arguments."""
    at, name = f"{where}, line {node.lineno}", node.name
    if name.startswith("_"):
        return
    if name not in ARGUMENTS and not is_gate(name):
        known = ", ".join([*ARGUMENTS, f"{GATE}NAME"])
        raise _refusal(at, f"one of {known}; or a name that begins with _", name, f"rename `{name}`, or `_{name}` it")
    given, wanted = node.args, arguments_of(name)
    most = len(given.posonlyargs) + len(given.args)
    least = most - len(given.defaults)
    if not least <= len(wanted) <= (len(wanted) if given.vararg else most) or None in given.kw_defaults:
        expected = f"{name}({', '.join(wanted)})"
        raise _refusal(at, expected, f"{name}({ast.unparse(given)})", f"give `{name}` these arguments, in this order")


def _refusal(where: str, expected: str, found: str, next_step: str) -> ConfigError:
    return ConfigError(
        "model.py cannot be used",
        where=where,
        expected=expected,
        found=found,
        next_step=f"{next_step}; see docs/model-py.md",
    )
