"""`strake build --sign-identity-token` and `strake verify --certificate-identity`; cosign verifies offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.signing import cosign_verify_identity
from tests.fixtures.servers.sigstore import IDENTITY, ISSUER, Sigstore, running_sigstore, token

DOCKERFILE = "FROM TINY\nRUN echo signed > /signed\n"


@pytest.fixture(scope="module")
def sigstore():
    with running_sigstore() as running:
        yield running


def flags(directory: Path, sigstore: Sigstore, **changes: str) -> list[str]:
    """Write what the flags name, and return them."""
    for name, content in {"token": token(), "config.json": sigstore.config, **changes}.items():
        (directory / name).write_text(content)
    return [f"--sign-identity-token={directory / 'token'}", f"--sigstore-config={directory / 'config.json'}"]


def verify(
    builder: Builder, image: str, root: Path, *more: str, identity: str = IDENTITY, issuer: str = ISSUER
):
    words = [STRAKE, "verify", image, "--insecure", f"--trusted-root={root}"]
    words += [f"--certificate-identity={identity}", f"--certificate-oidc-issuer={issuer}", *more]
    return run_strake(words, builder.environment(), 180)


def test_an_image_and_its_provenance_are_signed_as_somebody_and_verified_so(builder, tmp_path, sigstore):
    builder.context(DOCKERFILE)
    done = builder.run(*flags(tmp_path, sigstore), "--provenance=min", timeout=240)
    assert done.returncode == 0, done.stderr
    image, root = done.stdout.strip(), tmp_path / "trusted_root.json"
    root.write_text(sigstore.root)
    found = verify(builder, image, root)
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{image}\nbundle: signed by {IDENTITY}\n"
    printed = verify(builder, image, root, "--attestation=provenance", "--print")
    assert json.loads(printed.stdout)["predicateType"] == "https://slsa.dev/provenance/v1"
    for changes in ({"identity": IDENTITY[:-1]}, {"issuer": "https://other.example"}):
        refused = verify(builder, image, root, **changes)
        assert (refused.returncode, refused.stdout) == (14, "")
        assert "has no signature of" in refused.stderr
    for kind in ("", "slsaprovenance1"):
        verified = cosign_verify_identity(image, root, IDENTITY, ISSUER, attestation=kind)
        assert verified.returncode == 0, verified.stderr
    with running_sigstore() as other:
        root.write_text(other.root)
        assert verify(builder, image, root).returncode == 14


REFUSED = {
    "an issuer that Fulcio does not know": (
        {"token": token(issuer="https://other.example")},
        14,
        "there is no certificate of Fulcio",
    ),
    "a token for another server": ({"token": token(audience="other")}, 14, "malformed or missing claims"),
    "no token": ({"token": "a.b"}, 14, "malformed or missing claims"),
    "no configuration": ({"config.json": "{}"}, 2, "the configuration of Sigstore is none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_identity_that_cannot_sign_ends_the_build_before_it_begins(builder, tmp_path, sigstore, name):
    changes, status, words = REFUSED[name]
    builder.context(DOCKERFILE)
    done = builder.run(*flags(tmp_path, sigstore, **changes), timeout=240)
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr
    assert changes.get("token", "no token") not in done.stderr
    assert "Traceback" not in done.stderr
    assert not builder.tags()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--sign-identity-token=a"], "need each other"),
        (["--sign-identity-token=a", "--sigstore-config=b", "--sign-key=c"], "--sign-key and"),
        (["--sign-identity-token=a", "--sigstore-config=b", "--sign-form=legacy"], "--sign-form legacy and"),
        (["--sign-identity-token=a", "--sigstore-config=missing"], "--sigstore-config: cannot read missing"),
    ],
)
def test_flags_that_make_no_sense_are_refused(builder, given, words):
    builder.context(DOCKERFILE)
    done = builder.run(*given, timeout=240)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "whose signatures count is not clear"),
        (["--certificate-identity=a"], "whose signatures count is not clear"),
        (
            ["--certificate-identity=a", "--certificate-oidc-issuer=b", "--trusted-root=/etc/hostname"],
            "the trusted root cannot be read",
        ),
    ],
)
def test_verify_asks_for_one_signer(given, words):
    done = run_strake([STRAKE, "verify", "registry.example/app:1", *given])
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
