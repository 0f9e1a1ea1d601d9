"""`output.sign`: which Secret signs, in which form, and what the request says of it."""

from __future__ import annotations

import pytest

from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.base import Registries
from strake_api.requests.build import BuildRequest
from strake_api.requests.output import KeylessSignature, Signature, VaultLogin
from tests.unit.strake_api.specs import refusal, spec


def output(**sign):
    return {"destinations": ["registry.example/app:1"], "sign": sign}


def request(signing: str | None = "/strake/signing", vault: VaultLogin | None = None, **sign) -> BuildRequest:
    return build_request(
        ImageBuildSpec.model_validate(spec(output=output(**sign))),
        mounted=MountedPaths(config_map="/", signing=signing, vault=vault),
        work_directory="/work",
        registries=Registries(),
    )


@pytest.mark.parametrize(
    ("given", "form"), [({}, "both"), ({"form": "legacy"}, "legacy"), ({"form": "bundle"}, "bundle")]
)
def test_the_request_names_files_and_no_secret(given, form):
    sign = request(secretRef={"name": "key"}, **given).output.sign
    assert sign is not None
    assert sign.to_dict() == {
        "key": "/strake/signing/cosign.key",
        "password": "/strake/signing/cosign.password",
        "form": form,
    }


def test_where_the_key_comes_in_another_way_the_request_names_none():
    assert request(None, secretRef={"name": "key"}).output.sign is None


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        ({}, "sign in one way: with a Secret (secretRef)"),
        ({"secretRef": {"name": "key"}, "kms": "hashivault://key"}, "sign in one way"),
        ({"keyless": {}, "kms": "hashivault://key"}, "sign in one way"),
        ({"keyless": {}, "form": "legacy"}, "keyless signatures are bundles"),
        ({"kms": "cosign.key"}, "kms is a key as cosign writes it"),
        ({"kms": "azurekms://vault.example/key"}, "kms is a key as cosign writes it"),
        ({"secretRef": {}}, "name"),
        ({"secretRef": {"name": "Key"}}, "pattern"),
        ({"secretRef": {"name": "key"}, "form": "sigstore"}, "'legacy', 'bundle' or 'both'"),
        ({"secretRef": {"name": "key"}, "keyless": True}, "keyless"),
        ({"secretRef": {"name": "key"}, "fulcio": True}, "Extra inputs are not permitted"),
    ],
)
def test_a_mistake_is_refused(sign, words):
    assert words in refusal(output=output(**sign))


VAULT = VaultLogin(address="https://vault.example", role="strake", token="/strake/signing/token")


@pytest.mark.parametrize(("kms", "vault"), [("awskms:///alias/key", None), ("hashivault://key", VAULT)])
def test_the_request_names_a_key_in_a_kms_and_how_a_pod_logs_in_where_that_is_for_it(kms, vault):
    sign = request(vault=VAULT, kms=kms, form="legacy").output.sign
    assert sign == Signature(kms=kms, vault=vault, form="legacy")


def test_a_request_names_one_key():
    keyless = KeylessSignature(config="{}", token="/token")
    for given in ({}, {"key": "/key", "kms": "hashivault://key"}, {"key": "/key", "keyless": keyless}):
        with pytest.raises(ValueError, match=r"output\.sign names one of key, kms and keyless"):
            Signature(**given)


@pytest.mark.parametrize("field", ["key", "password"])
def test_paths_in_a_request_are_absolute(field):
    document = request(secretRef={"name": "key"}).to_dict()
    document["output"]["sign"][field] = "cosign.key"
    with pytest.raises(ValueError, match=f"output.sign.{field} must be an absolute path"):
        BuildRequest.model_validate(document)
