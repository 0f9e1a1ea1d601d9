"""Whom a policy wants signatures of, as it is written down."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.buildpolicy import AllowedImages
from strake_api.models.signers import SigningIdentity


def identity(**fields: str) -> SigningIdentity:
    return SigningIdentity.model_validate(fields)


def test_who_fits():
    exact = identity(issuer="https://i.example", subject="a@example.com")
    assert exact.is_issuer("https://i.example")
    assert not exact.is_issuer("https://i.example/")
    assert exact.is_subject("a@example.com")
    assert not exact.is_subject("a@example.com.other")
    assert exact.shown == "a@example.com, as https://i.example knows it"
    some = identity(issuer="https://i*", subject="*@example.com")
    assert some.is_issuer("https://i.example")
    assert some.is_subject("b@example.com")
    assert not some.is_subject("b@example.com.other")
    assert some.shown == "*@example.com, as https://i* knows it"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"issuer": "i"}, "subject"),
        ({"subject": "s"}, "issuer"),
        ({"issuer": "", "subject": "s"}, "issuer"),
        ({"issuer": "i", "subject": "s", "issuerURL": "u"}, "issuerURL"),
    ],
)
def test_what_names_nobody_is_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        identity(**fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"trustedRoot": "{}"}, "trustedRoot is trusted_root.json"),
        ({"trustedRoot": "application/vnd.dev.sigstore.trustedroot" + "x" * (1 << 15)}, "at most 32768"),
        ({"signedByIdentities": []}, "at least 1"),
        ({"signedByIdentities": [{"issuer": "i", "subject": "s"}] * 9}, "at most 8"),
    ],
)
def test_what_a_policy_cannot_have(fields, why):
    with pytest.raises(ValidationError, match=why):
        AllowedImages.model_validate(fields)
