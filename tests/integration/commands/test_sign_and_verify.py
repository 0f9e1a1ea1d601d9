"""`strake build --sign-key` and `strake verify`, as a person types them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

OTHER = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
"""The point of RFC 9500's test key."""
WITH_PASSWORD = {"COSIGN_PASSWORD": PASSWORD.decode()}


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "cosign.key").write_bytes(KEY)
    (folder / "cosign.pub").write_bytes(PUBLIC)
    (folder / "other.pub").write_text(OTHER)
    return folder


def verify(builder: Builder, image: str, key: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    words: list[str | Path] = [STRAKE, "verify", image, "--key", key, "--insecure", *flags]
    return run_strake(words, builder.environment(), 180)


def build(builder: Builder, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    builder.context("FROM TINY\nRUN echo signed > /signed\n")
    return builder.run(*flags, timeout=240, **environment)


def test_what_is_built_with_a_key_is_verified_with_its_public_key_and_with_no_other(builder, keys):
    done = build(builder, "--sign-key", str(keys / "cosign.key"), **WITH_PASSWORD)
    assert done.returncode == 0, done.stderr
    image = done.stdout.strip()
    assert f"{image.partition('@')[0]}@{image.partition('@')[2][:19]}… signed\n" in done.stderr
    for name in (builder.destination, image):
        found = verify(builder, name, keys / "cosign.pub")
        assert found.returncode == 0, found.stderr
        assert found.stdout == f"{image}\nlegacy: signed with this key\nbundle: signed with this key\n"
    refused = verify(builder, image, keys / "other.pub")
    assert refused.returncode == 14
    assert refused.stdout == ""
    assert "error: none of the 2 signatures of" in refused.stderr


def test_one_form_is_told(builder, keys):
    done = build(builder, "--sign-key", str(keys / "cosign.key"), "--sign-form", "legacy", **WITH_PASSWORD)
    assert done.returncode == 0, done.stderr
    told = verify(builder, builder.destination, keys / "cosign.pub").stdout.splitlines()[1:]
    assert told == ["legacy: signed with this key", "bundle: no signature"]


def test_an_image_that_nobody_signed(builder, keys):
    assert build(builder).returncode == 0
    found = verify(builder, builder.destination, keys / "cosign.pub")
    assert found.returncode == 14
    assert "has no signature" in found.stderr


@pytest.mark.parametrize(
    ("image", "key", "status", "words"),
    [
        ("{host}/nobody/pushed:1", "cosign.pub", 5, "cannot verify"),
        ("NO NAME", "cosign.pub", 2, "is not an image reference"),
        ("{host}/app:1", "cosign.key", 2, "ENCRYPTED SIGSTORE PRIVATE KEY"),
        ("{host}/app:1", "missing", 2, "cannot read"),
    ],
)
def test_what_cannot_be_verified_is_told_in_a_sentence(builder, keys, image, key, status, words):
    found = verify(builder, image.format(host=builder.registry.host), keys / key)
    assert (found.returncode, found.stdout) == (status, "")
    assert words in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("flags", "environment", "status", "words"),
    [
        (["--sign-key", "KEY"], {}, 14, "its password is taken from $COSIGN_PASSWORD"),
        (["--sign-key", "KEY"], {"COSIGN_PASSWORD": "wrong-one"}, 14, "the password is another one"),
        (["--sign-key", "missing"], WITH_PASSWORD, 2, "--sign-key: cannot read missing"),
        (["--sign-form", "both"], {}, 2, "--sign-form: there is no key"),
        (["--sign-key", "KEY", "--no-push"], WITH_PASSWORD, 2, "nothing is pushed"),
    ],
)
def test_a_key_that_cannot_be_used_ends_the_build_before_it_begins(
    builder, keys, flags, environment, status, words
):
    done = build(
        builder, *[str(keys / "cosign.key") if each == "KEY" else each for each in flags], **environment
    )
    assert done.returncode == status
    assert words in done.stderr
    assert not builder.tags()


@pytest.mark.parametrize("where", ["context", "named"])
def test_a_key_in_the_context_is_warned_of(builder, keys, tmp_path, where):
    context = builder.context("FROM TINY\n")
    directory = context if where == "context" else tmp_path / where
    directory.mkdir(exist_ok=True)
    (directory / "cosign.key").write_bytes(KEY)
    named = ("--build-context", f"lib={directory}") if where == "named" else ()
    done = builder.run("--sign-key", str(directory / "cosign.key"), *named, **WITH_PASSWORD)
    assert done.returncode == 0
    assert "is in the context, where a COPY finds it" in done.stderr
    assert (
        "is in the context"
        not in build(builder, "--sign-key", str(keys / "cosign.key"), **WITH_PASSWORD).stderr
    )


def test_a_manifest_that_signs_is_carried_out_with_the_secret_beside_it(builder, keys, tmp_path):
    sign = {"secretRef": {"name": "key"}}
    build_document = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "app"},
        "spec": {
            "source": {"inline": {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}},
            "output": {"destinations": [builder.destination], "sign": sign},
        },
    }
    secret = {"cosign.key": KEY.decode(), "cosign.password": PASSWORD.decode()}
    secret_document = {"kind": "Secret", "metadata": {"name": "key"}, "stringData": secret}
    file = tmp_path / "imagebuild.yaml"
    file.write_text(f"{json.dumps(build_document)}\n---\n{json.dumps(secret_document)}\n")
    words = [
        STRAKE,
        "run",
        "-f",
        file,
        "--work-dir",
        builder.work,
        "--insecure-registry",
        builder.registry.host,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=builder.environment())
    assert done.returncode == 0, done.stderr
    assert verify(builder, builder.destination, keys / "cosign.pub").returncode == 0


def test_signatures_are_added_to_what_the_registry_has_and_not_to_what_a_mirror_has(builder, keys, tmp_path):
    """A mirror's list may be older: written back, it would take the signatures of others away."""
    reproducible = ("--reproducible", "--sign-form", "legacy", "--sign-key")
    assert build(builder, *reproducible, str(keys / "cosign.key"), **WITH_PASSWORD).returncode == 0
    with builder.registry.client() as client, running_registry() as mirror, mirror.client() as elsewhere:
        repository = builder.registry.repository(builder.name)
        [tag] = [each for each in client.tags(repository) if each.endswith(".sig")]
        older = make_image(b"older")
        older.write(RegistryImages(elsewhere, mirror.repository(builder.name)), tag)
        second = ec.generate_private_key(ec.SECP256R1())
        (keys / "second.key").write_bytes(
            second.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        mapped = f"{builder.registry.host}={mirror.host}"
        flags = ("--registry-map", mapped, "--insecure-registry", mirror.host)
        assert build(builder, *reproducible, str(keys / "second.key"), *flags).returncode == 0
    found = verify(builder, builder.destination, keys / "cosign.pub")
    assert found.returncode == 0, found.stderr


def test_attestations_are_asked_for_by_type(builder, keys):
    done = build(builder, "--sign-key", str(keys / "cosign.key"), "--provenance=min", **WITH_PASSWORD)
    assert done.returncode == 0, done.stderr
    image, public = done.stdout.strip(), keys / "cosign.pub"
    found = verify(builder, builder.destination, public, "--attestation", "provenance")
    assert found.returncode == 0, found.stderr
    first, *forms = found.stdout.splitlines()
    assert first == image
    assert [line.rpartition(", ")[2] for line in forms] == ["legacy", "bundle"]
    printed = verify(builder, image, public, "--attestation", "provenance", "--print")
    statement = json.loads(printed.stdout)
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0]["digest"]["sha256"] == image.rpartition(":")[2]


@pytest.mark.parametrize(
    ("flags", "key", "status", "words"),
    [
        (
            ("--attestation", "provenance"),
            "other.pub",
            14,
            "no attestation of https://slsa.dev/provenance/v1",
        ),
        (
            ("--attestation", "provenance", "--attestation", "sbom"),
            "cosign.pub",
            14,
            "https://spdx.dev/Document",
        ),
        (("--print",), "cosign.pub", 2, "add --attestation provenance"),
    ],
)
def test_without_each_of_them_it_fails(builder, keys, flags, key, status, words):
    done = build(builder, "--sign-key", str(keys / "cosign.key"), "--provenance=min", **WITH_PASSWORD)
    refused = verify(builder, done.stdout.strip(), keys / key, *flags)
    assert (refused.returncode, refused.stdout) == (status, "")
    assert words in refused.stderr
