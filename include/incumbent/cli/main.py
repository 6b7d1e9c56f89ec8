"""`incumbent NOUN VERB`: one table of commands, each loaded only when it is called.

Exit status: 0 fine, 1 the verdict is no, 2 wrong usage or a service that does not answer,
3 a broken promise (the store holds something else than its records say).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from incumbent.errors import PipelineError, StoreError

ERROR_SCHEMA = "incumbent.error/1"
FINE, VERDICT_NO, USAGE, BROKEN = 0, 1, 2, 3
CUT = 141  # as the shell says it of any program whose reader has seen enough
EXITS = "Exit status: 0 fine, 1 the verdict is no, 2 wrong usage or a service that is away, 3 a broken promise."


@dataclass(frozen=True)
class Command:
    """One command: its words, its help, and the module that has `run` (and `arguments`, if any).

    `target` is `module:function`; the function takes the parsed arguments and returns the exit
    status. If the module has a function `<function>_arguments(parser)`, that adds its arguments.
    """

    words: tuple[str, ...]
    summary: str
    target: str


COMMANDS = (
    Command(("up",), "start Airflow and MLflow on this machine", "incumbent.cli.stack:up"),
    Command(("down",), "stop exactly what was started", "incumbent.cli.stack:down"),
    Command(("doctor",), "what runs, on which port, with how much memory, and why", "incumbent.cli.doctor:doctor"),
    Command(("env",), "print the file to source for the stack's environment", "incumbent.cli.stack:env"),
    Command(("batch", "show"), "what became of each delivery of a batch", "incumbent.cli.batch:show"),
    Command(("batch", "release"), "let a held batch go on as it is", "incumbent.cli.batch:release"),
    Command(("champion", "show"), "who holds the seat, or held it on a day", "incumbent.cli.champion:show"),
    Command(("check",), "say whether a file is what a contract says", "incumbent.cli.check:check"),
    Command(("compare",), "say which of two models predicts the same rows better", "incumbent.cli.compare:compare"),
    Command(
        ("contract", "diff"),
        "what a changed contract would have done to past deliveries",
        "incumbent.cli.contract:diff",
    ),
    Command(
        ("drift",), "say whether a table has drifted from a reference, and what moved", "incumbent.cli.drift:drift"
    ),
    Command(("erase",), "take the rows of a key out of everything that is stored", "incumbent.cli.erase:erase"),
    Command(("impact",), "what rests on a batch, a training set or a generation", "incumbent.cli.impact:impact"),
    Command(("leaks",), "name the columns of a table that know the label", "incumbent.cli.leaks:leaks"),
    Command(
        ("lineage", "export"),
        "what was committed, as OpenLineage events",
        "incumbent.cli.lineage:export",
    ),
    Command(
        ("prediction", "why"),
        "what a prediction rests on, back to the raw file, and the same made again",
        "incumbent.cli.prediction:why",
    ),
    Command(
        ("prediction", "verify"),
        "the same of rows that are drawn by chance from all that was predicted",
        "incumbent.cli.prediction:verify",
    ),
    Command(("quarantine", "list"), "what is set aside or held", "incumbent.cli.quarantine:list_aside"),
    Command(
        ("quarantine", "show"), "the rows that are set aside, each with its rule", "incumbent.cli.quarantine:show_aside"
    ),
    Command(("quarantine", "replay"), "judge rows again that are set aside", "incumbent.cli.quarantine:replay"),
    Command(
        ("retrain", "why"),
        "what asked for a training at a partition, and what held it back",
        "incumbent.cli.retrain:why",
    ),
    Command(("score",), "have partitions scored again, once", "incumbent.cli.score:score"),
    Command(("serve",), "answer requests: published predictions by key, other rows live", "incumbent.cli.serve:serve"),
    Command(
        ("snapshot", "show"), "a training set: its rows, who uses it, can it be rebuilt", "incumbent.cli.snapshot:show"
    ),
    Command(("snapshot", "diff"), "what differs between two training sets", "incumbent.cli.snapshot:diff"),
    Command(("store", "check"), "look for broken promises in the store", "incumbent.cli.store:check"),
    Command(("store", "vacuum"), "remove replaced data that nothing needs", "incumbent.cli.store:vacuum"),
    Command(("version", "card"), "the model card of a version, as of now", "incumbent.cli.version_card:card"),
    Command(
        ("version", "evidence"),
        "one zip with all that is on record of a version, or a look at such a zip",
        "incumbent.cli.version_evidence:evidence",
    ),
    Command(
        ("version", "why"),
        "what a version is made of, why it got the seat and what followed",
        "incumbent.cli.version:why",
    ),
    Command(
        ("version", "rebuild"),
        "fit a past version again from its record, and say whether it is the same",
        "incumbent.cli.version:rebuild",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = _find(arguments)
    if command is None:
        return _overview(arguments)
    parser = argparse.ArgumentParser(
        prog=f"incumbent {' '.join(command.words)}", description=command.summary, epilog=EXITS
    )
    module_name, _, name = command.target.partition(":")
    module = import_module(module_name)
    add_arguments = getattr(module, f"{name}_arguments", None)
    if add_arguments is not None:
        add_arguments(parser)
    given = parser.parse_args(arguments[len(command.words) :])
    try:
        return int(getattr(module, name)(given))
    except PipelineError as error:
        status = BROKEN if isinstance(error, StoreError) else USAGE
        print(error, file=sys.stderr)
        if getattr(given, "json", False):
            print(json.dumps({"schema": ERROR_SCHEMA, **error.to_json(), "exit_code": status}))
        return status
    except KeyboardInterrupt:
        print("interrupted\nNext: incumbent doctor", file=sys.stderr)
        return USAGE


def program() -> None:
    """Run one command and end the process with its status.

    At once, for DuckDB's binding says forty lines about leaks when Python ends in order after Great Expectations has
    used it, and a repair that worked looks like one that crashed.
    """
    try:
        status = main()
    except BrokenPipeError:
        if not _reader_is_gone():  # it was another pipe than what `| head` has closed
            raise
        status = CUT
    logging.shutdown()
    with suppress(BrokenPipeError):  # whoever read it has seen enough
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _reader_is_gone() -> bool:
    poll = select.poll()
    poll.register(sys.stdout, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _find(arguments: Sequence[str]) -> Command | None:
    matching = [command for command in COMMANDS if tuple(arguments[: len(command.words)]) == command.words]
    return max(matching, key=lambda command: len(command.words), default=None)


def _overview(arguments: Sequence[str]) -> int:
    asked = arguments[:1] in (["-h"], ["--help"], ["help"])
    words = [word for word in arguments if not word.startswith("-")]
    output = sys.stdout if asked else sys.stderr
    if words and not asked:
        print(f"unknown command: {' '.join(words)}", file=output)
    shown = [command for command in COMMANDS if command.words[:1] == tuple(words[:1])] or list(COMMANDS)
    print("usage: incumbent NOUN VERB [options]\n", file=output)
    for command in shown:
        print(f"  {' '.join(command.words):<16} {command.summary}", file=output)
    print("\nNext: incumbent COMMAND --help", file=output)
    return FINE if asked else USAGE


if __name__ == "__main__":
    program()
