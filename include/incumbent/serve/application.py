"""The Ray Serve application: HTTP, and a thread that looks at the stores.

`incumbent serve` runs it on this machine. On a cluster of yours name `incumbent.serve.application:build` as the
import path of an application. Ray copies the deployment's functions while this module is read: what they call is
imported, and not defined further down.
"""

from __future__ import annotations

import threading
from pathlib import Path

from fastapi import FastAPI, Request, Response
from ray import serve
from ray.serve.config import BackpressureConfig

from incumbent.config import load_model
from incumbent.serve.desk import MOST_BYTES, Desk, unexpected
from incumbent.serve.http import as_response, refusal_response
from incumbent.serve.online import Online
from incumbent.serve.openapi import document
from incumbent.serve.refusal import Refusal
from incumbent.serve.settings import ServeSettings
from incumbent.store import Store
from incumbent.validate.contract import load_contract

# No documentation of FastAPI's: requests are what contracts say, which it cannot know.
api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)


@serve.deployment(name="incumbent", num_replicas=1)
@serve.ingress(api)
class Served:
    """One process that answers for all its models.

    Args:
        settings: What is served, and how.
    """

    def __init__(self, settings: ServeSettings) -> None:
        store = Store.at(settings.store, Path(settings.work))
        folders = [load_model(Path(settings.models) / name) for name in settings.names]
        self._models = {
            folder.model.name: Online(
                folder,
                load_contract(folder.contract_path),
                store.model(folder.model.name),
                len(folders) == 1,
                settings.newest,
            )
            for folder in folders
        }
        self._settings = settings
        self._desk = Desk(self._models, settings.token, settings.most, settings.batch)
        self._desk.refresh()  # the first request finds everything at hand
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _watch(self) -> None:
        while not self._ended.wait(self._settings.refresh_s):
            self._desk.refresh()

    @api.post("/predict")
    async def predict(self, request: Request) -> Response:
        """Answer one request."""
        try:
            self._desk.admit(request.headers.get("authorization"))
            return as_response(await self._desk.answer(await self._body(request)))
        except Refusal as refusal:
            return refusal_response(refusal)
        except Exception as error:
            return refusal_response(unexpected("request", error))

    @api.get("/health")
    async def health(self, request: Request) -> Response:
        """Say whether requests are answered."""
        return as_response(self._desk.health(request.headers.get("authorization")))

    @api.get("/metrics")
    async def metrics(self, request: Request) -> Response:
        """Return the figures."""
        try:
            self._desk.admit(request.headers.get("authorization"))
        except Refusal as refusal:
            return refusal_response(refusal)
        return Response(self._desk.metrics.text(), media_type="text/plain; version=0.0.4")

    @api.get("/openapi.json")
    async def openapi(self, request: Request) -> Response:
        """Return the schemas of all requests."""
        try:
            self._desk.admit(request.headers.get("authorization"))
        except Refusal as refusal:
            return refusal_response(refusal)
        return as_response(document(list(self._models.values()), bool(self._settings.token)))

    async def _body(self, request: Request) -> bytes:
        """Return a request's body, and never hold more of it than a request may have."""
        said = request.headers.get("content-length", "")
        found, size = bytearray(), int(said) if said.isdigit() else 0
        if size <= MOST_BYTES:
            async for chunk in request.stream():
                found += chunk
                if (size := len(found)) > MOST_BYTES:
                    break
        if size > MOST_BYTES:
            raise self._desk.refuse(
                "too_large", what="the request is too large", where="body", expected=f"at most {MOST_BYTES} bytes",
                found=f"{size} or more", next_step="ask for one row at a time",
            )  # fmt: skip
        return bytes(found)


def application(settings: ServeSettings) -> serve.Application:
    """Return the application."""
    options = Served.options(  # type: ignore[attr-defined]  # it is a deployment
        # The desk itself sends away what is too much, and says so in JSON; this is the wall behind it.
        max_ongoing_requests=4 * settings.most,
        max_queued_requests=settings.most,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=10,
        ray_actor_options={"num_cpus": 0},
        logging_config={"enable_access_log": False},  # /metrics counts; a line for each request costs as much as it
    )
    return options.bind(settings)


def build(arguments: dict[str, str]) -> serve.Application:
    """Return the application for a cluster of yours, from the arguments of its configuration; see docs/serving.md."""
    return application(ServeSettings.of(arguments))
