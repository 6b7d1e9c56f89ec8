"""`incumbent version evidence`: one zip with all that is on record of a version, and the look at such a zip."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.cli.main import BROKEN, FINE, VERDICT_NO
from incumbent.cli.stored import opened
from incumbent.cli.version_card import written
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.card.archive import Verified

SCHEMA = "incumbent.version_evidence/1"
VERIFY_SCHEMA = "incumbent.evidence_verified/1"


def evidence_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", nargs="?", help="name of the model")
    parser.add_argument("version", nargs="?", help="a generation, or the first digits of a version")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to; MODEL-VERSION.evidence.zip here if absent")
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="Ed25519 key that signs; the file that INCUMBENT_SIGNING_KEY names if absent",
    )
    parser.add_argument("--verify", type=Path, metavar="FILE", help="look at such a file instead")
    parser.add_argument("--key", type=Path, metavar="PUBLIC", help="public key that the signature has to be by")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def evidence(arguments: argparse.Namespace) -> int:
    """Write the evidence of a version, or verify one; 3 if what the version rests on, or the file, is not as it was."""
    if arguments.verify is not None:
        return _verified(arguments)
    if not arguments.model or not arguments.version:
        raise ConfigError(
            "nobody said of which version",
            where="incumbent version evidence",
            expected="a model and a version, or --verify FILE",
            found=arguments.model,
            next_step="incumbent champion show MODEL names the generations",
        )
    from incumbent.card.archive import archive
    from incumbent.card.evidence import evidence as gathered
    from incumbent.card.index import index
    from incumbent.card.known import Known
    from incumbent.card.markdown import markdown
    from incumbent.card.page import page
    from incumbent.card.signature import SETTING, Signer, fingerprint
    from incumbent.provenance.version import find

    folder, store = opened(arguments.model)
    version = find(store, arguments.version)
    given = arguments.sign or (Path(os.environ[SETTING]) if os.environ.get(SETTING) else None)
    signer = Signer(given) if given else None
    known = Known(store, version, folder.model)
    files, looked = gathered(known)
    made = index(known, files, looked, fingerprint(signer.public) if signer else "")
    files |= {"index.md": markdown(made).encode(), "index.html": page(made).encode()}
    out = arguments.out or Path(f"{store.name}-{version.digest[:16]}.evidence.zip")
    written(out, archive(files, signer))
    broken = [link.name for link in looked.broken]
    if arguments.json:
        told = {
            "schema": SCHEMA,
            "file": str(out),
            "files": sorted(files),
            "signed": signer is not None,
            "broken": broken,
        }
        print(json.dumps(told))
    else:
        print(f"{out}: {len(files)} files, {'signed' if signer else 'not signed: no key was given'}")
        if broken:
            print(f"what it rests on does not hold: {', '.join(broken)}")
        print("Next: incumbent store check" if broken else f"Next: incumbent version evidence --verify {out}")
    return BROKEN if broken else FINE


def _verified(arguments: argparse.Namespace) -> int:
    from incumbent.card.archive import verify
    from incumbent.card.signature import read_key

    key = read_key(arguments.key) if arguments.key else None
    found = verify(arguments.verify, key, str(arguments.key))
    if arguments.json:
        print(json.dumps({"schema": VERIFY_SCHEMA, **asdict(found)}))
    else:
        print(f"{arguments.verify}: {found.files} files have the digest that they should have")
        print(*(f"  {each}" for each in found.problems), sep="\n", end="\n" if found.problems else "")
        print(_signed(found))
        print("Next: ask whoever gave it to you for another copy" if found.problems else "Next: read index.md in it")
    if found.problems:
        return BROKEN
    return VERDICT_NO if found.vouched is False else FINE


def _signed(found: Verified) -> str:
    if not found.is_signed:
        return "nobody has signed it"
    if found.vouched is None:
        return "it is signed; whether by whom you trust, --key says"
    return "it is signed by this key" if found.vouched else "it is not signed by this key"
