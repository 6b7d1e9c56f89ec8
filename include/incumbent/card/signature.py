"""An Ed25519 signature over the list of digests: of a key in a file, which OpenSSL can verify as well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.errors import ConfigError
from incumbent.records import digest_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE = "openssl genpkey -algorithm ed25519 -out FILE; its public half: openssl pkey -in FILE -pubout"
SETTING = "INCUMBENT_SIGNING_KEY"


class Signer:
    """A key that signs.

    Args:
        path: Private key, PEM without a passphrase.

    Raises:
        ConfigError: It cannot be read, or is another kind of key.
    """

    def __init__(self, path: Path) -> None:
        self._key: Ed25519PrivateKey = _private(path)

    @property
    def public(self) -> bytes:
        """The public half, as PEM."""
        return _pem(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """Return the signature of bytes: the same each time."""
        return self._key.sign(data)


def fingerprint(public: bytes) -> str:
    """Return how people compare public keys: the SHA-256 of the PEM text."""
    return digest_of(_pem(_public(public, "the public key")))


def is_signed(public: bytes, where: str, data: bytes, signature: bytes) -> bool:
    """Return whether a signature of bytes is by a key.

    Args:
        public: The key, PEM.
        where: Where it is from, for messages.
        data: What was signed.
        signature: What is said to be its signature.

    Raises:
        ConfigError: This is no such key.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        _public(public, where).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def read_key(path: Path) -> bytes:
    """Return the bytes of a key file.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(str(path), error.strerror or "nothing") from error


def _private(path: Path) -> Ed25519PrivateKey:
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_key(path)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise _refused(str(path), "a key with a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(str(path), "no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused(str(path), "another kind of key")
    return key


def _public(data: bytes, where: str) -> Ed25519PublicKey:
    _needed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused(where, "no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _refused(where, "another kind of key")
    return key


def _pem(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _needed() -> None:
    try:
        import cryptography  # noqa: F401 - the wheel alone does not bring it
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the library of signatures is not installed",
            where="cryptography",
            expected="what the extra airflow of the wheel brings",
            found=error,
            next_step="install incumbent[airflow], or cryptography",
        ) from error


def _refused(where: str, found: str) -> ConfigError:
    return ConfigError(
        "not an Ed25519 key that can be used",
        where=where,
        expected="an Ed25519 key in PEM, without a passphrase",
        found=found,
        next_step=f"make one: {MAKE}",
    )
