"""An ImageBuild whose image is signed in the pod's gateway, and verified with cosign; steps do not find the key."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import UID, build
from tests.fixtures.servers.signing import PASSWORD, KeyPair, cosign_verify, make_key_pair

# The brackets keep the patterns from finding themselves, in the request and on command lines.
SPY = f"""\
FROM TINY
RUN ! grep -r -s -l -E 'SIGSTORE PRIVAT[E]|{PASSWORD[0]}[{PASSWORD[1]}]{PASSWORD[2:]}' /strake /tmp /run /etc
RUN ! cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -a '{PASSWORD[0]}[{PASSWORD[1]}]{PASSWORD[2:]}'
RUN ! ls /strake/signing
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> KeyPair:
    return make_key_pair(tmp_path_factory.mktemp("keys"))


def secret(namespace: str, **content: str) -> None:
    """Make a Secret of cosign's form."""
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing"}}
    names = {name.replace("_", "."): text for name, text in content.items()}
    apply({**document, "stringData": names}, namespace)


def output(name: str) -> dict[str, object]:
    return {"destinations": [f"{REGISTRY}/e2e/{name}:1"], "sign": {"secretRef": {"name": "signing"}}}


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
def test_cosign_verifies_the_image_and_no_step_finds_the_key(platform, changing, namespace, pair, isolation):
    secret(namespace, cosign_key=pair.key.read_text(), cosign_password=PASSWORD)
    with platform.changed(STRAKE_ISOLATION=isolation):
        status = build(namespace, SPY, output=output(f"signed-{isolation}"))
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == ("chroot" if isolation == "chroot" else "nested")
    for bundle in (False, True):
        verified = cosign_verify(status["image"], pair.public, bundle=bundle)
        assert verified.returncode == 0, verified.stderr
    (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    log = kubectl("logs", pod["metadata"]["name"], "-c", "gateway", "-n", namespace)
    assert f"_signatures/{status['image'].partition('@')[2]} 204" in log


def test_a_password_of_another_key_fails_the_build_before_its_first_step(namespace, pair):
    secret(namespace, cosign_key=pair.key.read_text(), cosign_password="wrong-one")
    status = build(namespace, "FROM TINY\nRUN true\n", output=output("unsigned"))
    assert status["failure"]["reason"] == "SigningFailed", status
    assert "the password is another one" in status["failure"]["message"]
    assert not status.get("steps", {}).get("done")


def test_a_secret_without_a_key_is_named(namespace):
    secret(namespace, cosign_password="of no key")
    status = build(namespace, "FROM TINY\nRUN true\n", output=output("keyless"))
    assert status["failure"]["reason"] == "SecretNotFound", status
    assert "has no key cosign.key" in status["failure"]["message"]
