"""Where things are and on which ports: read once from the environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.store import Store
    from incumbent.store.place import Place

LOOPBACK = "127.0.0.1"
S3 = "s3://"


@dataclass(frozen=True)
class Settings:
    """Folders, ports and addresses of one installation.

    Attributes:
        root: Folder that holds `dags/`, `plugins/` and `include/models/`.
        home: Folder of everything that is written.
        store: Root of the store: a folder, or `s3://bucket/prefix`.
        drop: Drop folder: a folder, or `s3://bucket/prefix`.
        models: Folder of the model folders.
        port_base: Airflow's port; MLflow and the internal servers follow it.
        ray_port_base: First port of the local Ray head and its workers.
        mlflow_uri: Tracking server; empty when MLflow is not used.
        mlflow_is_external: The server is somebody else's: `up` starts none.
        ray_address: An existing Ray cluster's Jobs address; empty for the local head.
        ray_python: Python with which a cluster's nodes run a training.
        core_hour_price: What an hour of a core costs, in whatever money; None if nobody has said.
        gpu_hour_price: The same of a GPU.
        ray_idle_s: Seconds after which an unused local Ray head is stopped.
        training_pool: Airflow pool that trainings take a slot of.
        lineage: Where OpenLineage events go: a URL, or a file; empty where nobody is told.
        lineage_namespace: Namespace of the jobs in them.
        lineage_databases: Airflow connection to the namespace and the database that OpenLineage names its tables by.
    """

    root: Path
    home: Path
    store: str
    drop: str
    models: Path
    port_base: int
    ray_port_base: int
    mlflow_uri: str
    mlflow_is_external: bool
    ray_address: str
    ray_python: str
    core_hour_price: float | None
    gpu_hour_price: float | None
    ray_idle_s: float
    training_pool: str
    lineage: str = ""
    lineage_namespace: str = "incumbent"
    lineage_databases: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def from_env(cls, env: Mapping[str, str], root: Path | None = None) -> Settings:
        """Read the settings; every default lies below one folder and on loopback.

        Args:
            env: Usually `os.environ`.
            root: Project folder; INCUMBENT_ROOT, else the working folder, if None.

        Raises:
            ConfigError: A port is no number between 1024 and 65000, or the store no address.
        """
        base = Path(env.get("INCUMBENT_ROOT") or root or Path.cwd()).resolve()
        home = Path(env.get("INCUMBENT_HOME") or base / "var").resolve()
        port_base = _port(env, "INCUMBENT_PORT_BASE", 8080)
        own_mlflow = f"http://{LOOPBACK}:{port_base + 1}"
        mlflow_uri = env.get("INCUMBENT_MLFLOW_URI") or env.get("MLFLOW_TRACKING_URI") or own_mlflow
        return cls(
            root=base,
            home=home,
            store=_address(env, "INCUMBENT_STORE", home / "store"),
            drop=_address(env, "INCUMBENT_RAW", home / "raw"),
            models=Path(env.get("INCUMBENT_MODELS") or base / "include" / "models"),
            port_base=port_base,
            ray_port_base=_port(env, "INCUMBENT_RAY_PORT_BASE", port_base + 100),
            mlflow_uri=mlflow_uri,
            # A shell that sourced our own environment file names our own server.
            mlflow_is_external=mlflow_uri != own_mlflow,
            ray_address=env.get("INCUMBENT_RAY_ADDRESS", ""),
            ray_python=env.get("INCUMBENT_RAY_PYTHON") or sys.executable,
            core_hour_price=_price(env, "INCUMBENT_CORE_HOUR_PRICE"),
            gpu_hour_price=_price(env, "INCUMBENT_GPU_HOUR_PRICE"),
            ray_idle_s=float(env.get("INCUMBENT_RAY_IDLE_S", "600")),
            training_pool=env.get("INCUMBENT_TRAINING_POOL", "default_pool"),
            lineage=_lineage(env, "INCUMBENT_OPENLINEAGE"),
            lineage_namespace=env.get("INCUMBENT_OPENLINEAGE_NAMESPACE") or "incumbent",
            lineage_databases=_databases(env, "INCUMBENT_OPENLINEAGE_DATABASES"),
        )

    def open_store(self, options: Mapping[str, str] | None = None) -> Store:
        """Return the store; what it needs of S3 comes from the environment where the options do not say it."""
        from incumbent.store import Store

        return Store.at(self.store, self.home / "work", options)

    @property
    def raw(self) -> Path:
        """The drop folder of this machine; see `open_drop` for one that may lie in a bucket."""
        return Path(self.drop)

    def open_drop(self, options: Mapping[str, str] | None = None) -> Place:
        """Return the drop folder; what it needs of S3 comes from the environment where the options do not say it."""
        if not self.drop.startswith(S3):
            return self.raw
        from incumbent.store.place import ObjectPath
        from incumbent.store.s3 import S3Blobs

        return ObjectPath(S3Blobs(self.drop, options))

    @property
    def airflow_home(self) -> Path:
        """Folder of Airflow's database, logs and passwords."""
        return self.home / "airflow"

    @property
    def run(self) -> Path:
        """Folder of process records, logs and the environment file."""
        return self.home / "run"

    @property
    def ray(self) -> Path:
        """Folder of Ray's token and Ray Train's results."""
        return self.home / "ray"

    @property
    def mlflow_port(self) -> int:
        """Port of the MLflow server that `up` starts."""
        return self.port_base + 1

    @property
    def environment_file(self) -> Path:
        """File a shell can source to stand where the stack's processes stand."""
        return self.run / "env"

    @property
    def passwords_file(self) -> Path:
        """JSON file with the password of each of Airflow's users."""
        return self.airflow_home / "passwords.json"

    @property
    def airflow_settings_file(self) -> Path:
        """Connections, pools and variables of this project."""
        return self.root / "airflow_settings.yaml"

    def environment(self) -> dict[str, str]:
        """Return the one environment of every component; secrets are made on the first call."""
        from incumbent.embedded.environment import environment

        return environment(self)

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's UI."""
        return f"http://localhost:{self.port_base}"


def _address(env: Mapping[str, str], name: str, default: Path) -> str:
    """Return the address of a place as it is written into records of work: a folder in full."""
    address = env.get(name) or str(default)
    if "://" not in address:
        return str(Path(address).resolve())
    if not re.fullmatch(r"s3://[^/]+(/[^/]+)*/?", address):
        raise ConfigError(
            "not an address of a folder",
            where=f"environment variable {name}",
            expected="a folder, or s3://bucket/prefix",
            found=address,
            next_step="correct it where the stack or your Airflow is started",
        )
    return address.rstrip("/")


def _lineage(env: Mapping[str, str], name: str) -> str:
    """Return where events go; a message does not repeat it, for somebody may have written a password into it."""
    address = env.get(name, "")
    if not address or "://" not in address:
        return address and str(Path(address).resolve())
    if not re.fullmatch(r"https?://[^/@?#]+(/[^@?#]*)?", address):
        raise ConfigError(
            "not a place that OpenLineage events can go to",
            where=f"environment variable {name}",
            expected="http://HOST:PORT, https://HOST/PATH, or a file; a token is in INCUMBENT_OPENLINEAGE_TOKEN",
            found="another scheme, or a user, a query or a fragment in the address",
            next_step="correct it where the stack or your Airflow is started",
        )
    return address


def _databases(env: Mapping[str, str], name: str) -> dict[str, tuple[str, str]]:
    """Return what `connection=scheme://host:port/database` says, once for each, divided by commas."""
    found = {}
    for each in filter(None, (part.strip() for part in env.get(name, "").split(","))):
        if not (said := re.fullmatch(r"([^=\s]+)=([a-z0-9+.-]+://[^/@?#]+)/([^/@?#]+)", each)):
            raise ConfigError(
                "not a connection and its database",
                where=f"environment variable {name}",
                expected="such as warehouse=postgres://db.example:5432/sales, without a user",
                found="another form",
                next_step="correct it where the stack or your Airflow is started",
            )
        found[said[1]] = (said[2], said[3])
    return found


def _price(env: Mapping[str, str], name: str) -> float | None:
    text = env.get(name)
    try:
        return float(text) if text else None
    except ValueError as error:
        raise ConfigError(
            "not a price",
            where=f"environment variable {name}",
            expected="a number, of whatever money",
            found=text,
            next_step="correct it where the stack or your Airflow is started",
        ) from error


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or not 1024 <= int(text) <= 65_000:
        raise ConfigError(
            "not a port",
            where=f"environment variable {name}",
            expected="a number from 1024 to 65000",
            found=text,
            next_step=f"export {name}=8080, or another free port",
        )
    return int(text)
