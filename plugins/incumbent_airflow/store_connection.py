"""The credentials of a store on S3, from the Airflow connection `incumbent_store`."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from incumbent.errors import ConfigError

CONNECTION = "incumbent_store"
EXTRAS = {"endpoint_url": "endpoint", "region_name": "region", "aws_session_token": "token"}


def s3_options(conn_id: str | None = None) -> dict[str, str]:
    """Return what a connection says, the store's unless another is named; without one the environment counts.

    Raises:
        ConfigError: There is none of the name, or it asks for something that is not built, such as a role to take on.
    """
    try:
        found = Connection.get(conn_id or CONNECTION)
    except AirflowNotFoundException:
        if conn_id is None:
            return {}
        raise _missing(conn_id) from None
    extra = {name: str(value) for name, value in (found.extra_dejson or {}).items() if value}
    if unknown := sorted(set(extra) - set(EXTRAS)):
        raise ConfigError(
            "the connection has fields that the store does not know",
            where=f"connection {conn_id or CONNECTION}, extra",
            expected=", ".join(EXTRAS),
            found=", ".join(unknown),
            next_step="for a role or a profile, delete the connection and set up the environment of the workers",
        )
    options = {"key": found.login or "", "secret": found.password or ""}
    options |= {EXTRAS[name]: value for name, value in extra.items()}
    return {name: value for name, value in options.items() if value}


def _missing(conn_id: str) -> ConfigError:
    return ConfigError(
        "the connection is missing",
        where=f"connection {conn_id}",
        expected="an Airflow connection with key and secret, and `endpoint_url` in its extra where it is not AWS",
        found="there is none of this id",
        next_step="define it in Airflow, or correct `connection` in model.yaml",
    )
