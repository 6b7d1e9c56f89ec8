"""The bearer token: from the environment or a file that is its owner's alone, and never handed on as it is.

What is kept, and given to Ray, is its SHA-256: Ray writes down what it is given.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from incumbent.errors import ConfigError
from incumbent.serve.refusal import Refusal

VARIABLE, FILE = "INCUMBENT_SERVE_TOKEN", "INCUMBENT_SERVE_TOKEN_FILE"
SHORTEST = 16
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def token_digest(env: Mapping[str, str], host: str, without: bool) -> str:
    """Return the SHA-256 of the token; empty if none is asked for.

    Args:
        env: Usually `os.environ`.
        host: Address that is listened on.
        without: Whether a person said that none is asked for.

    Raises:
        ConfigError: There is none, or it is not safe; or none is asked for where others can reach it.
    """
    if without:
        if host not in LOOPBACK:
            raise _no("no token is asked for where others can reach it", f"address {host}", f"one of {LOOPBACK}", host)
        return ""
    if env.get(VARIABLE):
        where, text = f"environment variable {VARIABLE}", env[VARIABLE]
    elif env.get(FILE):
        where, text = env[FILE], _read(Path(env[FILE]))
    else:
        raise _no("there is no token", f"environment variables {VARIABLE} and {FILE}", "one of them", "neither")
    if len(text) < SHORTEST or not text.isascii() or any(each.isspace() for each in text):
        found = f"{len(text)} characters"
        raise _no("the token is no secret", where, f"at least {SHORTEST} ASCII characters without spaces", found)
    return hashlib.sha256(text.encode()).hexdigest()


def check(header: str | None, digest: str) -> None:
    """Refuse a request without the token; as long as any, whatever it has instead.

    Args:
        header: What the request says in `Authorization`.
        digest: SHA-256 of the token; empty if none is asked for.

    Raises:
        Refusal: It has none, or another.
    """
    if not digest:
        return
    kind, _, given = (header or "").partition(" ")
    is_it = hmac.compare_digest(hashlib.sha256(given.strip().encode("utf-8", "replace")).hexdigest(), digest)
    if kind.lower() == "bearer" and is_it:
        return
    raise Refusal(
        "the request has another token" if header else "the request has no token",
        reason="wrong_token" if header else "no_token",
        where="header Authorization",
        expected="Bearer and the token that the server was started with",
        found="another" if header else "none",
        next_step="ask who runs the server for the token",
    )


def _read(path: Path) -> str:
    try:
        found = path.stat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            mode = f"mode {stat.S_IMODE(found.st_mode):03o} of user {found.st_uid}"
            raise _no("others can read the token", str(path), f"mode 600 of user {os.getuid()}", mode)
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        found_there = type(error).__name__
        raise _no("the file of the token cannot be read", str(path), "a file with the token", found_there) from None


def _no(what: str, where: str, expected: str, found: str) -> ConfigError:
    step = f"export {FILE}=PATH of a file with mode 600; on loopback alone, --no-token asks for none"
    return ConfigError(what, where=where, expected=expected, found=found, next_step=step)
