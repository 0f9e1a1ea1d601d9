"""A pod that signs with a key in a KMS, or as itself: what its gateway gets, and nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.output import KeylessSignature
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_of_run
from strake_operator.settings.vault import Vault
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import SETTINGS

RUN = RunIdentity("team", "hello", "uid-1", 3, 2, "hello-abc-3-2")
VAULT = replace(SETTINGS, vault=Vault("https://vault.example", "builders", "clusters/one", "keys"))


def spec(kms: str | None) -> ImageBuildSpec:
    """Return what signs with a key; as the pod where there is none."""
    sign: dict[str, object] = {"kms": kms} if kms else {"keyless": {}}
    output = {"destinations": ["r.example/app:1"], "sign": sign}
    return ImageBuildSpec.model_validate(
        {"source": {"inline": {"Dockerfile": "FROM scratch"}}, "output": output}
    )


def pod(kms: str | None, settings=VAULT):
    return builder_job(RUN, spec(kms), settings)["spec"]["template"]["spec"]


def signing_volumes(made) -> list:
    return [each for each in made["volumes"] if each["name"] == "signing"]


def test_vault_knows_a_pod_by_a_token_that_the_gateway_alone_mounts():
    made = pod("hashivault://app")
    (volume,) = signing_volumes(made)
    token = {"audience": "vault", "expirationSeconds": 3600, "path": "token"}
    assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
    (builder,), (gateway,) = made["containers"], made["initContainers"]
    assert "signing" not in {mount["name"] for mount in builder["volumeMounts"]}
    (mount,) = [each for each in gateway["volumeMounts"] if each["name"] == "signing"]
    request = request_of_run(RUN, spec("hashivault://app"), VAULT)
    sign = request.output.sign  # type: ignore[union-attr] # a build's
    assert sign is not None
    assert sign.kms == "hashivault://app"
    assert sign.vault is not None
    assert sign.vault.token == f"{mount['mountPath']}/token"
    login = sign.vault
    assert (login.address, login.role, login.mount, login.engine) == (
        "https://vault.example",
        "builders",
        "clusters/one",
        "keys",
    )


def test_fulcio_knows_a_pod_by_a_token_of_its_own():
    made = pod(None, replace(VAULT, sigstore="{}"))
    (volume,) = signing_volumes(made)
    token = {"audience": "sigstore", "expirationSeconds": 3600, "path": "token"}
    assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
    assert "signing" not in {mount["name"] for mount in made["containers"][0]["volumeMounts"]}
    request = request_of_run(RUN, spec(None), replace(VAULT, sigstore="{}"))
    sign = present(request.output.sign)  # type: ignore[union-attr] # a build's
    assert sign.keyless == KeylessSignature(config="{}", token="/strake/signing/token")


@pytest.mark.parametrize(
    ("kms", "settings"), [("awskms:///alias/app", VAULT), ("hashivault://app", SETTINGS), (None, VAULT)]
)
def test_other_keys_have_a_gateway_and_no_token(kms, settings):
    made = pod(kms, settings)
    assert [each["name"] for each in made["initContainers"]] == ["gateway"]
    assert not signing_volumes(made)
