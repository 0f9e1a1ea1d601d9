"""The platform's Vault: pods show it their tokens, so its address has TLS and nothing else in it."""

from __future__ import annotations

import pytest

from strake_operator.errors import SettingsError
from strake_operator.settings.vault import Vault, read_vault

ADDRESS = "https://vault.example:8200"


@pytest.mark.parametrize(
    ("environment", "vault"),
    [
        ({}, None),
        ({"STRAKE_VAULT_ADDR": "", "STRAKE_VAULT_ROLE": "builders"}, None),
        ({"STRAKE_VAULT_ADDR": f"{ADDRESS}/"}, Vault(ADDRESS)),
        (
            {
                "STRAKE_VAULT_ADDR": ADDRESS,
                "STRAKE_VAULT_ROLE": "builders",
                "STRAKE_VAULT_AUTH_PATH": "clusters/one/",
                "STRAKE_VAULT_TRANSIT_PATH": "keys",
            },
            Vault(ADDRESS, "builders", "clusters/one", "keys"),
        ),
    ],
)
def test_what_the_variables_say(environment, vault):
    assert read_vault(environment) == vault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("STRAKE_VAULT_ADDR", each)
            for each in (
                "http://vault.example:8200",
                "vault.example",
                "https://a@vault.example",
                f"{ADDRESS}/v1",
                f"{ADDRESS}?a",
            )
        ),
        ("STRAKE_VAULT_ROLE", "a/b"),
        ("STRAKE_VAULT_AUTH_PATH", "../sys"),
        ("STRAKE_VAULT_TRANSIT_PATH", "a b"),
    ],
)
def test_what_makes_no_sense_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} must be"):
        read_vault({"STRAKE_VAULT_ADDR": ADDRESS, name: value})
