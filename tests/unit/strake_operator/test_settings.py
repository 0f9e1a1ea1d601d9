"""The operator's environment."""

from __future__ import annotations

import pytest

from strake_operator.errors import SettingsError
from strake_operator.settings import read_settings

IMAGE = {"STRAKE_BUILDER_IMAGE": "r.example/strake:1"}


def test_defaults():
    settings = read_settings(IMAGE)
    assert settings.builder_image == "r.example/strake:1"
    assert settings.native_nodes_only is False
    assert (settings.attempts, settings.grace_seconds) == (3, 30)


def test_no_default_cache_is_an_empty_one():
    assert read_settings({**IMAGE, "STRAKE_DEFAULT_CACHE_REPOSITORY": " "}).default_cache is None


@pytest.mark.parametrize("text", ["", " "])
def test_no_ceiling_of_its_own_is_an_empty_one(text):
    assert read_settings({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": text}).max_unpacked_size is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "STRAKE_BUILDER_IMAGE is not set"),
        (
            {**IMAGE, "STRAKE_DEFAULT_CACHE_REPOSITORY": "r.example/cache"},
            "STRAKE_DEFAULT_CACHE_REPOSITORY must",
        ),
        ({**IMAGE, "STRAKE_NATIVE_NODES": "always"}, "STRAKE_NATIVE_NODES must be preferred or required"),
        ({**IMAGE, "STRAKE_ATTEMPTS": "0"}, "STRAKE_ATTEMPTS"),
        ({**IMAGE, "STRAKE_GRACE_SECONDS": "soon"}, "STRAKE_GRACE_SECONDS"),
        ({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": "much"}, "STRAKE_MAX_UNPACKED_SIZE must be a size"),
        ({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": "0"}, "STRAKE_MAX_UNPACKED_SIZE must leave room"),
    ],
)
def test_mistakes_name_the_variable(environment, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(environment)
