"""The OpenAPI document of what is served: one request schema for each model, made of its contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from incumbent import __version__
from incumbent.serve.online import Online
from incumbent.serve.refusal import STATUS

COMPONENTS = "#/components/schemas/"
ERROR = {
    "type": "object",
    "required": ["schema", "reason", "status", "what", "where", "next_step"],
    "properties": {
        "schema": {"type": "string"},
        "reason": {"type": "string", "enum": list(STATUS)},
        "status": {"type": "integer"},
        **{name: {"type": ["string", "null"]} for name in ("what", "where", "expected", "found", "next_step")},
        "examples": {"type": "array", "items": {"type": "string"}},
    },
}
ANSWER = {
    "type": "object",
    "required": ["model", "key", "source", "prediction", "generation", "version", "definition", "partition"],
    "properties": {
        "model": {"type": "string"},
        "key": {"type": "object"},
        "source": {"type": "string", "enum": ["published", "live"]},
        "prediction": {"type": ["number", "string"]},
        "probability": {"type": "number"},
        "probabilities": {"type": "array", "items": {"type": "number"}},
        "generation": {"type": "integer", "description": "Position in the ledger of who predicted."},
        "version": {"type": "string", "description": "SHA-256 of the model file."},
        "definition": {"type": "string", "description": "Digest of the feature definition."},
        "partition": {"type": "string"},
        "content": {"type": "string", "description": "Published: digest of the predictions that the row is of."},
        "features_digest": {"type": "string", "description": "Published: digest of the features it was made from."},
        "batch_digest": {"type": "string", "description": "Published: digest of the batch it was made from."},
        "variant": {"type": "string", "description": "Published: champion, or the challenger of a rollout."},
        "context": {"type": "string", "description": "Live: digest of what the features looked up."},
        "missing_context": {"type": "array", "items": {"type": "string"}},
    },
}


def document(models: Sequence[Online], with_token: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        models: What is served.
        with_token: Whether requests need the bearer token.
    """
    schemas: dict[str, Any] = {"Answer": ANSWER, "Error": ERROR}
    names = []
    for each in models:
        schema = each.request.model_json_schema(ref_template=COMPONENTS + "{model}")
        schemas |= schema.pop("$defs", {})
        schemas[each.request.__name__] = schema
        names.append({"$ref": COMPONENTS + each.request.__name__})
    post = {
        "summary": "The published prediction of a key, or the champion's of a row",
        "requestBody": {"required": True, "content": _json({"oneOf": names} if len(names) > 1 else names[0])},
        "responses": {"200": _answer("An answer", "Answer"), "default": _answer("A refusal", "Error")},
    }
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Incumbent", "version": __version__},
        "paths": {
            "/predict": {"post": post},
            "/health": {"get": _plain("What answers; without the token no more than whether it does")},
            "/metrics": {"get": _plain("Figures in Prometheus's text format")},
        },
        "components": {"schemas": schemas},
    }
    if with_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answer(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": _json({"$ref": COMPONENTS + name})}


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": summary}}}
