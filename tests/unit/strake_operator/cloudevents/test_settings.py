"""Where CloudEvents go: nowhere by default, over https, and only with a key."""

from __future__ import annotations

import base64

import pytest

from strake_operator.cloudevents.settings import USUAL_SOURCE, read_event_settings, read_keys
from strake_operator.errors import SettingsError

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file


def environment(key_file, **changes):
    return {
        "STRAKE_EVENTS_URL": "https://hooks.example/x",
        "STRAKE_EVENTS_KEY_FILE": str(key_file),
    } | changes


def test_no_event_goes_anywhere_by_default():
    assert read_event_settings({}) is None
    assert read_event_settings({"STRAKE_EVENTS_URL": " "}) is None


def test_a_receiver_with_a_key_is_taken(key_file):
    read = read_event_settings(environment(key_file, STRAKE_EVENTS_SOURCE="https://cluster-1.example"))
    assert read is not None
    assert (read.url, read.source) == ("https://hooks.example/x", "https://cluster-1.example")
    usual = read_event_settings(environment(key_file))
    assert usual is not None
    assert usual.source == USUAL_SOURCE


def test_plain_http_is_for_those_who_say_so(key_file):
    plain = environment(key_file, STRAKE_EVENTS_URL="http://hooks.example:8080/x")
    with pytest.raises(SettingsError, match="STRAKE_EVENTS_PLAIN_HTTP=allowed"):
        read_event_settings(plain)
    allowed = read_event_settings(plain | {"STRAKE_EVENTS_PLAIN_HTTP": "allowed"})
    assert allowed is not None
    assert allowed.receiver == "http://hooks.example:8080"


@pytest.mark.parametrize(
    "changes",
    [
        {"STRAKE_EVENTS_URL": "hooks.example"},
        {"STRAKE_EVENTS_URL": "ftp://hooks.example"},
        {"STRAKE_EVENTS_URL": "https://"},
        {"STRAKE_EVENTS_URL": "https://hooks.example:port/"},
        {"STRAKE_EVENTS_URL": "https://[::1"},
        {"STRAKE_EVENTS_URL": "https://hooks.example/a\nb"},
        {"STRAKE_EVENTS_URL": "https://me:secret@hooks.example/"},
        {"STRAKE_EVENTS_PLAIN_HTTP": "yes"},
        {"STRAKE_EVENTS_SOURCE": "my cluster"},
        {"STRAKE_EVENTS_SOURCE": "\x00"},
    ],
)
def test_what_makes_no_sense_is_refused(key_file, changes):
    with pytest.raises(SettingsError, match="STRAKE_EVENTS_"):
        read_event_settings(environment(key_file, **changes))


def test_a_refusal_does_not_show_the_url(key_file):
    with pytest.raises(SettingsError) as refused:
        read_event_settings(environment(key_file, STRAKE_EVENTS_URL="https://me:hunter2@hooks.example/T0KEN"))
    assert "hunter2" not in str(refused.value)
    assert "T0KEN" not in str(refused.value)


def test_keys_are_text_or_encoded(key_file):
    key_file.write_text(f"{KEY}\r\n\nwhsec_{base64.b64encode(bytes(range(24))).decode()}\n")
    assert read_keys(key_file) == (KEY.encode(), bytes(range(24)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"short", b"whsec_!!!", b"\xff" * 32, b"k" * 20_000, b"\n".join([b"k" * 32] * 5)],
    ids=["empty", "no line", "short", "no Base64", "no text", "long", "many"],
)
def test_a_file_without_a_good_key_is_refused(key_file, content):
    key_file.write_bytes(content)
    with pytest.raises(SettingsError, match="STRAKE_EVENTS_KEY_FILE"):
        read_keys(key_file)


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot read .*/none: No such file"):
        read_event_settings(environment(tmp_path / "none"))
