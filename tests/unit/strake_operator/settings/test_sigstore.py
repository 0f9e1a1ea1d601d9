"""The platform's Sigstore instance: one document, which is refused when the operator starts, and not by a build."""

from __future__ import annotations

import json

import pytest

from strake_operator.errors import SettingsError
from strake_operator.settings.sigstore import read_sigstore

TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
WHOLE = {"mediaType": TYPE, "trustedRoot": {"tlogs": []}, "signingConfig": {}}


def test_the_document_is_read_and_goes_on_in_one_line():
    assert read_sigstore({}) == read_sigstore({"STRAKE_SIGSTORE_CONFIG": " \n"}) == ""
    text = read_sigstore({"STRAKE_SIGSTORE_CONFIG": json.dumps(WHOLE, indent=2)})
    assert json.loads(text) == WHOLE
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/etc/config.json", "with the mediaType"),
        ("[]", "with the mediaType"),
        ("[" * 100_000, "with the mediaType"),
        (json.dumps({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}), "mediaType"),
        (json.dumps({"mediaType": TYPE, "trustedRoot": {}}), "and has no signingConfig"),
        (json.dumps(WHOLE | {"signingConfig": "a" * 200_000}), "with the mediaType"),
    ],
)
def test_another_is_refused(text, words):
    with pytest.raises(SettingsError, match=words):
        read_sigstore({"STRAKE_SIGSTORE_CONFIG": text})
