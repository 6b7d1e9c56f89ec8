"""The credentials of a store on S3, from the Airflow connection `incumbent_store`."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from incumbent.errors import ConfigError

CONNECTION = "incumbent_store"
EXTRAS = {"endpoint_url": "endpoint", "region_name": "region", "aws_session_token": "token"}


def s3_options() -> dict[str, str]:
    """Return what the connection says; nothing without one, and the environment counts.

    Raises:
        ConfigError: It asks for something that is not built, such as a role to take on.
    """
    try:
        found = Connection.get(CONNECTION)
    except AirflowNotFoundException:
        return {}
    extra = {name: str(value) for name, value in (found.extra_dejson or {}).items() if value}
    if unknown := sorted(set(extra) - set(EXTRAS)):
        raise ConfigError(
            "the connection has fields that the store does not know",
            where=f"connection {CONNECTION}, extra",
            expected=", ".join(EXTRAS),
            found=", ".join(unknown),
            next_step="for a role or a profile, delete the connection and set up the environment of the workers",
        )
    options = {"key": found.login or "", "secret": found.password or ""}
    options |= {EXTRAS[name]: value for name, value in extra.items()}
    return {name: value for name, value in options.items() if value}
