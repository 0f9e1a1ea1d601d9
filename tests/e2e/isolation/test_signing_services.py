"""ImageBuilds that sign with a KMS or as their pod: what the API server takes, and what a pod without either tells."""

from __future__ import annotations

import pytest

from tests.cluster.settings import REGISTRY
from tests.e2e.builds import build

SIGNS = {
    "Vault, which the platform has not": ({"kms": "hashivault://app"}, "the operator's STRAKE_VAULT_ADDR"),
    "an identity, without Sigstore": ({"keyless": {}}, "the operator's STRAKE_SIGSTORE_CONFIG has one"),
}


@pytest.mark.parametrize("name", SIGNS)
def test_what_the_platform_has_not_fails_the_build_before_its_first_step(namespace, name):
    sign, words = SIGNS[name]
    output = {"destinations": [f"{REGISTRY}/e2e/unsigned:1"], "sign": sign}
    status = build(namespace, "FROM TINY\nRUN true\n", output=output)
    assert status["failure"]["reason"] == "SigningFailed", status
    assert words in status["failure"]["message"]
    assert not status.get("steps", {}).get("done")
