"""An archive is the same bytes each time, and every change of it is found."""

import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from incumbent.card.annex_iv import HEADINGS, POINTS
from incumbent.card.archive import PUBLIC, SIGNATURE, SUMS, archive, verify
from incumbent.card.sbom import sbom
from incumbent.card.signature import Signer
from incumbent.cli.main import BROKEN, FINE, USAGE, VERDICT_NO, main
from incumbent.errors import ConfigError, StoreError
from incumbent.records import ModelVersion

pytestmark = pytest.mark.unit
FILES = {"b.txt": b"two", "a.txt": b"one", "deep/c.json": b"{}"}
Entries = dict[str, bytes]


def key_file(path: Path, encryption: KeySerializationEncryption | None = None) -> Path:
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return path


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(key_file(tmp_path / "key.pem"))


def entries(data: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {name: found.read(name) for name in found.namelist()}


def zipped(path: Path, files: Entries, twice: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
        if twice:
            with pytest.warns(UserWarning, match="Duplicate name"):
                made.writestr(twice, b"another")
    return path


def test_the_same_files_are_the_same_bytes(signer: Signer) -> None:
    data = archive(FILES, signer)
    assert data == archive(dict(reversed(FILES.items())), signer)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.namelist() == sorted([*FILES, SUMS, SIGNATURE, PUBLIC])
        assert {(each.date_time, each.compress_type) for each in found.infolist()} == {((1980, 1, 1, 0, 0, 0), 0)}


def test_who_has_the_key_sees_who_signed(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "it.zip"
    path.write_bytes(archive(FILES, signer))
    other = Signer(key_file(tmp_path / "other.pem"))
    ours, theirs, nobody = (verify(path, key) for key in (signer.public, other.public, None))
    assert (ours.files, ours.problems, ours.is_signed, ours.vouched) == (3, (), True, True)
    assert (theirs.problems, theirs.vouched) == (("the signature is not by this key",), False)
    assert (nobody.problems, nobody.is_signed, nobody.vouched) == ((), True, None)
    path.write_bytes(archive(FILES, None))
    unsigned = verify(path, signer.public)
    assert (unsigned.problems, unsigned.is_signed, unsigned.vouched) == ((), False, False)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda files: {**files, "a.txt": b"ONE"}, "a.txt was altered"),
        (lambda files: {name: data for name, data in files.items() if name != "a.txt"}, "a.txt is missing"),
        (lambda files: {**files, "../more.txt": b""}, "../more.txt is in no list"),
        (lambda files: {**files, SUMS: files[SUMS] + b" \n"}, "the signature is not by this key"),
        (lambda files: {**files, SIGNATURE: bytes(64)}, "the signature is not by this key"),
        (lambda files: {**files, PUBLIC: b"no key"}, "the signature is not by the key that lies beside it"),
    ],
)
def test_a_change_is_named(change: Callable[[Entries], Entries], found: str, signer: Signer, tmp_path: Path) -> None:
    path = zipped(tmp_path / "it.zip", change(entries(archive(FILES, signer))))
    assert found in verify(path, signer.public).problems


def test_a_name_that_is_there_twice_and_a_flipped_bit_are_named(signer: Signer, tmp_path: Path) -> None:
    data = archive(FILES, signer)
    path = zipped(tmp_path / "it.zip", entries(data), twice="a.txt")
    assert "a.txt is there twice" in verify(path, None).problems
    path.write_bytes(data.replace(b"one", b"onf", 1))
    assert verify(path, None).problems == ("a.txt was altered",)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.zip"
    with pytest.raises(ConfigError, match="there is no such file"):
        verify(path, None)
    path.write_bytes(b"PK no zip")
    with pytest.raises(StoreError, match="no evidence that can be read"):
        verify(path, None)
    with pytest.raises(StoreError, match="no evidence that can be read"):
        verify(zipped(path, {"a.txt": b"one"}), None)


def test_the_command_says_it_by_its_status(signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, public = tmp_path / "it.zip", tmp_path / "public.pem"
    public.write_bytes(signer.public)
    words = ["version", "evidence", "--verify", str(path), "--key", str(public)]
    path.write_bytes(archive(FILES, signer))
    assert main(words) == FINE
    assert "it is signed by this key" in capsys.readouterr().out
    path.write_bytes(archive(FILES, None))
    assert main(words) == VERDICT_NO
    zipped(path, {**entries(archive(FILES, signer)), "a.txt": b"ONE"})
    assert main([*words, "--json"]) == BROKEN
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["problems"] == ["a.txt was altered"]
    public.write_bytes(b"no key")
    assert main(words) == USAGE
    assert main(["version", "evidence", "m"]) == USAGE


def test_keys_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        Signer(path)
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nno\n")
    with pytest.raises(ConfigError) as refused:
        Signer(path)
    assert refused.value.found == "no private key in PEM"
    with pytest.raises(ConfigError) as refused:
        Signer(key_file(path, BestAvailableEncryption(b"secret")))
    assert refused.value.found == "a key with a passphrase"
    curve = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError) as refused:
        Signer(path)
    assert refused.value.found == "another kind of key"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_it_too(signer: Signer, tmp_path: Path) -> None:
    for name, data in entries(archive(FILES, signer)).items():
        (tmp_path / name.replace("/", "-")).write_bytes(data)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        PUBLIC,
        "-rawin",
        "-in",
        SUMS,
        "-sigfile",
        SIGNATURE,
    ]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / SUMS).write_bytes(b"other")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0


def test_the_packages_are_a_bill_of_materials() -> None:
    """The parts of the CycloneDX 1.6 schema that are used: required keys, patterns, no key that it does not know."""
    version = ModelVersion(
        "ab" * 32, "m", "xgboost", "binary", "d", "s", ("x",), {}, {}, 1, 9, "2020", {}, {"python": "3.11"}
    )
    made = json.loads(sbom(version, b"b-c==1.0+cpu\na==2\n"))
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", made["serialNumber"])
    assert set(made) == {"$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components"}
    assert made["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert [(each["type"], each["name"], each.get("purl")) for each in made["components"]] == [
        ("platform", "python", None),
        ("library", "a", "pkg:pypi/a@2"),
        ("library", "b-c", "pkg:pypi/b-c@1.0%2Bcpu"),
    ]
    references = [each["bom-ref"] for each in (*made["components"], made["metadata"]["component"])]
    assert len(set(references)) == len(references)


def test_the_points_are_those_of_the_law_in_its_order() -> None:
    numbers = [point.number for point in POINTS]
    letters = [*(f"1 ({each})" for each in "abcdefgh"), *(f"2 ({each})" for each in "abcdefgh")]
    assert numbers == [*letters, *"3456789"]
    assert set(HEADINGS) == {"1", "2"}
    assert all(point.team and bool(point.files) == bool(point.says) for point in POINTS)
    assert [point.number for point in POINTS if point.text[-1] not in ";."] == []
