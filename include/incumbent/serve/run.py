"""The application on this machine: a Ray of its own, which ends with the command that started it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from incumbent.embedded import ray_head
from incumbent.embedded.settings import LOOPBACK, Settings
from incumbent.errors import ConfigError
from incumbent.records import digest_of
from incumbent.serve.settings import ServeSettings

OBJECT_STORE_BYTES = 80 * 2**20  # requests do not travel through it
NAME = "incumbent"


def run(settings: Settings, served: ServeSettings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Answer requests until a signal ends it.

    Args:
        settings: Folders of the installation.
        served: What is served.
        host: Address to listen on.
        port: Port to listen on.
        ready: Called with the address once requests are answered.

    Raises:
        ConfigError: The port is taken.
    """
    ended = threading.Event()
    with started(settings, served, host, port) as url:
        for each in (signal.SIGINT, signal.SIGTERM):  # Ray has put its own there, which leave no time to end in order
            signal.signal(each, lambda *_: ended.set())
        ready(url)
        ended.wait()


@contextmanager
def started(settings: Settings, served: ServeSettings, host: str, port: int) -> Iterator[str]:
    """Start the application, give its address, and stop exactly it.

    Raises:
        ConfigError: The port is taken.
    """
    _check_free(host, port)
    os.environ.update(environment(settings, port))  # before Ray is imported: it reads them then
    import ray
    from ray import serve

    from incumbent.serve.application import application

    folder = Path("/tmp") / f"incumbent-serve-{digest_of(f'{settings.home}:{port}'.encode())[:8]}"  # noqa: S108 - a long path breaks Ray's sockets
    shutil.rmtree(folder, ignore_errors=True)  # of a command that was killed: its port is free, so it is gone
    ray.init(
        address="local", num_cpus=1, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False, configure_logging=False, _node_ip_address=LOOPBACK, _temp_dir=str(folder),
    )  # fmt: skip
    try:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="Disabled", http_options={"host": host})
        serve.run(application(served), name=NAME, route_prefix="/")
        yield f"http://{host}:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def environment(settings: Settings, port: int) -> Mapping[str, str]:
    """Return what Ray has to find in its environment.

    The replica listens itself, on one port and none beside it: between it and the client is no proxy, which would
    cost several times what an answer costs.
    """
    return {
        **ray_head.environment(settings),
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(port + 1),  # exclusive
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_PORT_QUARANTINE_S": "0",  # a replica that died is started again on the same one
        "RAY_SERVE_LOG_TO_STDERR": "0",
    }


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                "the port cannot be listened on",
                where=f"{host}:{port}",
                expected="a free port",
                found=error.strerror,
                next_step="name another with --port",
            ) from error
