"""The packages of a training as a software bill of materials: CycloneDX 1.6, as JSON.

Written here: the lock has no library for it, and what is needed of the format is a list.
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from incumbent.records import ModelVersion

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def sbom(version: ModelVersion, packages: bytes) -> bytes:
    """Return what was installed when a version was trained.

    By name and version, as it was written down then: hashes and licences were not.

    Args:
        version: The version.
        packages: Its list of packages, `name==version` a line.
    """
    pairs = [line.split("==", 1) for line in packages.decode().splitlines() if "==" in line]
    python = version.code.get("python", "")
    made: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same version, the same number: nothing here depends on when or where it is written.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'incumbent:{version.digest}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": f"model-{version.digest}",
                "name": version.model,
                "version": version.digest,
                "hashes": [{"alg": "SHA-256", "content": version.digest}],
            }
        },
        "components": [
            *([{"type": "platform", "bom-ref": "python", "name": "python", "version": python}] if python else []),
            *(_component(name, number) for name, number in sorted(pairs)),
        ],
    }
    return (json.dumps(made, indent=1) + "\n").encode()


def _component(name: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{quote(name, safe='')}@{quote(version, safe='')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
