"""What a build may have signed: what it pushed to its destinations, and was taken."""

from __future__ import annotations

from typing import Any, cast

import pytest

from strake_builder.gateway.errors import ForbiddenError, SigningKeyUnusableError, UnknownImageError
from strake_builder.gateway.policy import Policy, parse_target
from strake_builder.gateway.signing import GatewaySigning
from strake_oci.errors import SigningKeyError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest

POLICY = Policy.of(["r.example/app:1", "s.example/app:1"], "r.example/cache")
CONTENT = b"{}"
DIGEST = Digest.sha256(CONTENT)
TYPE = "application/vnd.oci.image.manifest.v1+json"


class Recorded:
    """Signs nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Descriptor]] = []

    def sign(self, repository, image) -> None:
        self.asked.append((str(repository), image))


@pytest.fixture
def signer():
    return Recorded()


@pytest.fixture
def signing(signer):
    return GatewaySigning(POLICY, cast("Any", signer))


def pushed(signing: GatewaySigning, repository: str, content: bytes = CONTENT, **changes: Any) -> None:
    options: dict[str, Any] = {"method": "PUT", "kind": "manifests", "status": 201}
    options |= {"name": str(Digest.sha256(content)), **changes}
    registry, _, path = repository.partition("/")
    asked = parse_target(options["method"], f"/{registry}/v2/{path}/{options['kind']}/{options['name']}")
    signing.note(asked, content, f"{TYPE}; charset=utf-8", options["status"])


def ask(signing: GatewaySigning, repository: str, name: str = str(DIGEST)) -> None:
    registry, _, path = repository.partition("/")
    signing.answer(parse_target("POST", f"/{registry}/v2/{path}/_signatures/{name}"))


@pytest.mark.parametrize("name", [str(DIGEST), "1"])
def test_what_was_pushed_is_signed_as_what_it_is(signing, signer, name):
    pushed(signing, "r.example/app", name=name)
    ask(signing, "r.example/app")
    assert signer.asked == [("r.example/app", Descriptor(TYPE, DIGEST, len(CONTENT)))]


NOT_PUSHED: dict[str, dict[str, Any] | None] = {
    "nothing": None,
    "to another of the repositories": {"repository": "s.example/app"},
    "to the cache": {"repository": "r.example/cache"},
    "another manifest": {"content": b"{ }"},
    "another, by a lying name": {"content": b"{ }", "name": str(DIGEST)},
    "and refused": {"status": 400},
    "and sent elsewhere": {"status": 307},
    "only read": {"method": "GET", "status": 200},
    "as a blob": {"kind": "blobs"},
}


@pytest.mark.parametrize("name", NOT_PUSHED)
def test_what_was_not_pushed_is_not_signed(signing, signer, name):
    if (given := NOT_PUSHED[name]) is not None:
        pushed(signing, **({"repository": "r.example/app"} | given))
    with pytest.raises(UnknownImageError, match="did not push"):
        ask(signing, "r.example/app")
    assert not signer.asked


def test_what_is_remembered_is_bounded_and_the_latest_is_kept(signing, signer):
    pushed(signing, "r.example/app")
    for number in range(1023):
        pushed(signing, "r.example/app", b"%d" % number)
    pushed(signing, "r.example/app")
    pushed(signing, "r.example/app", b"one more")
    ask(signing, "r.example/app")
    with pytest.raises(UnknownImageError):
        ask(signing, "r.example/app", str(Digest.sha256(b"0")))


def test_without_a_key_nothing_is_signed():
    signing = GatewaySigning(POLICY)
    pushed(signing, "r.example/app")
    for name in (str(DIGEST), ""):
        with pytest.raises(ForbiddenError, match="signs nothing"):
            ask(signing, "r.example/app", name)


def test_a_key_that_cannot_be_used_is_told_of_each_time():
    signing = GatewaySigning(POLICY, problem="the password is another one")
    pushed(signing, "r.example/app")
    for name in (str(DIGEST), ""):
        with pytest.raises(SigningKeyUnusableError, match="the password is another one"):
            ask(signing, "r.example/app", name)


class Refusing:
    """A key in a KMS that the pod may not sign with."""

    def check(self) -> None:
        raise SigningKeyError("Vault, key transit/app: permission denied", hint="ask for a policy")


def test_a_key_is_tried_when_the_executor_asks_for_it(signer):
    signing = GatewaySigning(POLICY, cast("Any", signer), key=cast("Any", Refusing()))
    with pytest.raises(SigningKeyUnusableError, match="transit/app: permission denied; ask for a policy"):
        signing.answer(parse_target("GET", "/r.example/v2/app/_signatures/"))
    assert not signer.asked
