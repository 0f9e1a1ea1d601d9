"""Secrets of checks: one that a build was not given ends it, but for checks that the platform demands of all."""

from __future__ import annotations

import pytest

from strake_api.models.verification import Check, RequiredCheck
from strake_builder.errors import VerificationError
from strake_builder.solve.planning.checks import PreparedCheck, require_secrets

CHECK = {"name": "smoke", "kind": "test", "command": ["/app"], "secrets": ["database", "other"]}


def test_what_a_check_names_must_be_given():
    prepared = PreparedCheck(Check.model_validate(CHECK), None)
    require_secrets(prepared, {"database": b"", "other": b"", "more": b""})
    with pytest.raises(VerificationError, match="the check smoke wants the secret 'other'"):
        require_secrets(prepared, {"database"})


def test_a_check_of_the_platform_goes_without():
    prepared = PreparedCheck(RequiredCheck.model_validate(CHECK | {"policy": "all"}), None)
    require_secrets(prepared, ())
    assert prepared.name == "smoke of the BuildPolicy all"
