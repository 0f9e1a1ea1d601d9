"""Whatever stands in the platform's file: settings, or one error that names the file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_operator.errors import SettingsError
from strake_operator.manifests.access import requested_hosts
from strake_operator.registries.document import PlatformRegistries
from strake_operator.registries.reading import read_registries

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["mirrors", "mirrorsOnly", "insecure", "insecureSkipTLSVerify", "ca", "caFile", "clientCertificateSecret"]
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "registries": VALUES
        | st.dictionaries(st.text(max_size=20), st.dictionaries(FIELDS, VALUES), max_size=3),
        "proxy": VALUES
        | st.dictionaries(st.sampled_from(["httpProxy", "httpsProxy", "noProxy"]), VALUES | st.text()),
        "ca": VALUES,
        "caFile": VALUES,
    },
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("platform") / "registries.yaml"


def outcome(file, text: str) -> PlatformRegistries | None:
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        return read_registries(str(file))[0]
    except SettingsError as error:
        message = str(error)
    assert message.startswith(f"STRAKE_REGISTRIES_FILE {file}: ")
    return None


@given(text=st.text(max_size=200))
def test_any_text(file, text):
    outcome(file, text)


@given(document=VALUES | LIKELY)
def test_any_document(file, document):
    found = outcome(file, json.dumps(document))
    if found is not None:
        assert requested_hosts(found).keys() == found.registries.keys(), (
            "the builder takes what the operator took"
        )
