"""Images that Strake signed as somebody, before the admission controllers of a cluster.

They trust what a TUF repository on loopback gives them: that of a Sigstore instance of the test's own.
"""

from __future__ import annotations

import base64

import pytest

from tests.fixtures.building.builds import Builder
from tests.fixtures.servers.admission import kyverno_says, policies, policy_controller_says, replaced
from tests.fixtures.servers.signing import running_referrers_registry
from tests.fixtures.servers.sigstore import IDENTITY, ISSUER, running_sigstore, token
from tests.fixtures.servers.tuf import running_tuf


@pytest.fixture(scope="module")
def sigstore():
    with running_sigstore() as running:
        yield running


@pytest.fixture(scope="module")
def repository(sigstore, tmp_path_factory):
    """A TUF repository with the instance's roots and keys."""
    with running_tuf(tmp_path_factory.mktemp("tuf"), sigstore.root) as running:
        yield running


@pytest.fixture(scope="module", params=[(), ("--platform=linux/amd64,linux/arm64",)], ids=["one", "several"])
def image(request, sigstore, tmp_path_factory):
    directory = tmp_path_factory.mktemp("image")
    for name, content in {"token": token(), "config.json": sigstore.config}.items():
        (directory / name).write_text(content)
    with running_referrers_registry() as registry:
        builder = Builder(registry, directory, "admitted/keyless")
        builder.context("FROM scratch\nCOPY Dockerfile /\n")
        signed = (f"--sign-identity-token={directory}/token", f"--sigstore-config={directory}/config.json")
        done = builder.run("--provenance=min", *signed, *request.param)
        assert done.returncode == 0, done.stderr
        yield done.stdout.strip()


def policy_of(file, name, image, repository, identity: str):
    """Return a policy of an example, for somebody and with the instance's repository."""
    changes = {
        "https://oidc.example/cluster": ISSUER,
        "https://kubernetes.io/namespaces/team/serviceaccounts/builder": identity,
        "https://tuf.example": repository.url,
        "ROOT": base64.b64encode(repository.root).decode(),
    }
    return replaced(policies(file, image.partition("/")[0])[name], changes)


@pytest.mark.parametrize("policy", ["signed", "provenance"])
def test_kyverno_lets_in_what_somebody_signed_and_nobody_else(image, repository, policy):
    for identity, is_admitted in ((IDENTITY, True), (f"{IDENTITY}2", False)):
        asked = policy_of("kyverno-keyless.yaml", policy, image, repository, identity)
        verdict = kyverno_says(asked, [image])[image]
        assert verdict.admitted == is_admitted, verdict.words


def test_policy_controller_lets_in_what_somebody_attested_and_nobody_else(image, repository):
    for identity, is_admitted in ((IDENTITY, True), (f"{IDENTITY}2", False)):
        policy = policy_of("policy-controller-keyless.yaml", "provenance", image, repository, identity)
        verdict = policy_controller_says(policy, image, repository)
        assert verdict.admitted == is_admitted, verdict.words


def test_policy_controller_reads_no_keyless_signature_of_an_image(image, repository):
    """What docs/admission.md says: attestations alone."""
    policy = policy_of("policy-controller-keyless.yaml", "provenance", image, repository, IDENTITY)
    del policy["spec"]["authorities"][0]["attestations"]
    verdict = policy_controller_says(policy, image, repository)
    assert not verdict.admitted
    assert "bundle support for image signatures is not yet implemented" in verdict.words
