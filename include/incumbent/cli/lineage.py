"""`incumbent lineage export`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from incumbent.cli.main import FINE, VERDICT_NO
from incumbent.cli.stored import opened
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from incumbent.lineage.committed import Commit, Committed


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--since", metavar="MOMENT", help="only what was committed from a moment, or a day, on")
    parser.add_argument("--send", action="store_true", help="send them where INCUMBENT_OPENLINEAGE says, told or not")


def export(arguments: argparse.Namespace) -> int:
    """Print the events of everything that a model's store has committed, one JSON a line; or send them again."""
    from incumbent.lineage.committed import Committed
    from incumbent.lineage.naming import naming_of
    from incumbent.lineage.transport import line
    from incumbent.partitions import Grain, bounds_utc, moment_of

    folder, store = opened(arguments.model)
    settings = Settings.from_env(os.environ)
    committed = Committed(store, naming_of(settings, folder.model, store))
    commits = committed.commits()
    if arguments.since:
        text = arguments.since
        is_day = len(text) == len("2013-07-01")
        since = bounds_utc(text, Grain.DAY, folder.model.timezone)[0] if is_day else moment_of(text)
        commits = [commit for commit in commits if commit.at >= since]
    if arguments.send:
        return _send(committed, commits, settings)
    count = 0
    for commit in commits:
        for event in committed.events(commit) or ():
            print(line(event))
            count += 1
    print(f"{count} events\nNext: incumbent lineage export {arguments.model} --send", file=sys.stderr)
    return FINE if count else VERDICT_NO


def _send(committed: Committed, commits: list[Commit], settings: Settings) -> int:
    from incumbent.lineage.tell import remember
    from incumbent.lineage.transport import NotTold, transport_to

    if not settings.lineage:
        raise ConfigError(
            "nobody is to be told",
            where="environment variable INCUMBENT_OPENLINEAGE",
            expected="http://HOST:PORT, or the path of a file",
            found="nothing",
            next_step="export it, or leave out --send",
        )
    transport = transport_to(settings.lineage, os.environ.get("INCUMBENT_OPENLINEAGE_TOKEN", ""))
    count = 0
    for commit in commits:
        events = committed.events(commit)
        if events is None:
            continue
        try:
            if events:
                transport.tell(events)
        except NotTold as error:
            raise UnavailableError(
                "an event did not arrive",
                where=f"{transport.name}, after {count} events",
                expected="a place that takes OpenLineage events",
                found=str(error),
                next_step="look at it, and give the same command again: an event that comes twice is the same run",
            ) from error
        remember(committed, transport, commit)
        count += len(events)
    print(f"{count} events sent to {transport.name}\nNext: incumbent doctor")
    return FINE if count else VERDICT_NO
