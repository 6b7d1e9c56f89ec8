"""What libraries say, without the secrets in it."""

from __future__ import annotations

from urllib.parse import quote, quote_plus


def redact(text: str, secrets: frozenset[str]) -> str:
    """Return a text without the secrets, in any of the forms in which a driver repeats them.

    >>> redact("cannot parse postgresql://me:p%40ss@db", frozenset({"p@ss"}))
    'cannot parse postgresql://me:***@db'
    """
    forms = {form for secret in secrets for form in (secret, quote(secret, ""), quote_plus(secret), repr(secret)[1:-1])}
    for form in sorted(filter(None, forms), key=len, reverse=True):
        text = text.replace(form, "***")
    return text
