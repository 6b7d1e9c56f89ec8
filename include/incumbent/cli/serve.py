"""`incumbent serve`."""

from __future__ import annotations

import argparse
import os

from incumbent.cli.main import FINE
from incumbent.embedded.settings import LOOPBACK, Settings


def serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("models", nargs="*", help="names of the models; all if left out")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="port to listen on (%(default)s)")
    parser.add_argument("--newest", type=int, metavar="N", help="answer from the newest N partitions; all if left out")
    parser.add_argument("--no-token", action="store_true", help="ask for no token; on loopback alone")


def serve(arguments: argparse.Namespace) -> int:
    """Answer requests until somebody interrupts it."""
    from incumbent.serve.run import run
    from incumbent.serve.settings import serve_settings
    from incumbent.serve.token import token_digest

    settings = Settings.from_env(os.environ)
    token = token_digest(os.environ, arguments.host, arguments.no_token)
    served = serve_settings(settings, tuple(arguments.models), token, arguments.newest)

    def ready(url: str) -> None:
        print(f"{', '.join(served.names)} at {url}/predict, /health, /metrics and /openapi.json")
        print("the token is asked for" if token else "no token is asked for: whoever reaches the loopback is answered")
        print(f"Next: curl {url}/health; an interrupt stops it", flush=True)

    run(settings, served, arguments.host, arguments.port, ready)
    return FINE
