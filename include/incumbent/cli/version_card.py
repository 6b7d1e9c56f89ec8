"""`incumbent version card`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from incumbent.cli.main import FINE
from incumbent.cli.stored import opened
from incumbent.errors import ConfigError

SCHEMA = "incumbent.version_card/1"


def card_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("version", help="a generation, or the first digits of a version")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--html", action="store_true", help="print the page")
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there, as a page if FILE ends in .html")


def card(arguments: argparse.Namespace) -> int:
    """Print the card of a version as it is now: what followed its promotion stands in it as well."""
    from incumbent.card.document import document
    from incumbent.card.known import Known
    from incumbent.card.markdown import markdown
    from incumbent.card.page import page
    from incumbent.provenance.version import find

    folder, store = opened(arguments.model)
    made = document(Known(store, find(store, arguments.version), folder.model))
    if arguments.json:
        text = json.dumps({"schema": SCHEMA, **asdict(made)})
    elif arguments.html or (arguments.out and arguments.out.suffix == ".html"):
        text = page(made)
    else:
        text = markdown(made)
    if arguments.out is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return FINE
    written(arguments.out, text.encode())
    print(f"{arguments.out}\nNext: incumbent version evidence {arguments.model} {arguments.version}")
    return FINE


def written(path: Path, data: bytes) -> None:
    """Write a file that was asked for.

    Raises:
        ConfigError: It cannot be written there.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(
            "the file cannot be written",
            where=str(path),
            expected="a folder that is there and that you may write to",
            found=error.strerror,
            next_step="name another file with --out",
        ) from error
