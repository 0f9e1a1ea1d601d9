"""Which secret of a build goes to which server of ADD."""

from __future__ import annotations

import base64

import pytest

from strake_builder.context.git.credentials import GitAccess, GitCredentials
from strake_builder.context.git.ssh import SSHAgent, SSHKey
from strake_builder.context.remote_secrets import RemoteSecrets
from strake_builder.errors import InvalidRequestError

BASIC = b"Basic " + base64.b64encode(b"me:pass:word")


def opened(url: str, **secrets: bytes) -> tuple[dict[str, str], GitAccess | None, list[str]]:
    warnings: list[str] = []
    given = RemoteSecrets(
        {name.replace("__", "."): value for name, value in secrets.items()}, warn=warnings.append
    )
    return given.headers(url), given.git(url), warnings


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/x",
        "https://b.example.com/x",
        "https://example.com.evil.org/x",
        "https://example.com@evil.org/x",
        "https://evil.org/example.com",
        "https://evil.org#@example.com/",
        "https:///x",
    ],
)
def test_another_host_gets_nothing(url):
    found = opened(url, HTTP_AUTH_TOKEN_example__com=b"t", GIT_AUTH_TOKEN__example__com=b"t")
    assert found == ({}, None, [])


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "https://EXAMPLE.com:8443/x", "https://u:p@example.com/"]
)
def test_the_host_counts_and_not_the_port(url):
    assert opened(url, HTTP_AUTH_TOKEN_example__com=b"t")[0] == {"Authorization": "Bearer t"}


def test_a_token_counts_over_a_header_for_urls_and_the_other_way_round_for_git():
    headers, credentials, _ = opened(
        "https://example.com/x",
        HTTP_AUTH_HEADER_example__com=b"Basic x",
        HTTP_AUTH_TOKEN_example__com=b"t",
        GIT_AUTH_TOKEN__example__com=b"t",
        GIT_AUTH_HEADER__example__com=BASIC,
    )
    assert headers == {"Authorization": "Bearer t"}
    assert credentials == GitCredentials("me", "pass:word")


def test_the_port_is_part_of_a_git_server():
    url = "https://example.com:8443/app.git"
    assert opened(url, GIT_AUTH_TOKEN__example__com=b"t")[1] is None
    secrets = RemoteSecrets({"GIT_AUTH_TOKEN.example.com:8443": b"t\n"})
    assert secrets.git(url) == GitCredentials("x-access-token", "t")


@pytest.mark.parametrize("url", ["git@example.com:app.git", "ssh://git@example.com/app.git"])
def test_ssh_has_keys_of_its_own(url):
    headers, git, _ = opened(url, GIT_AUTH_TOKEN=b"t", GIT_AUTH_TOKEN__example__com=b"t")
    assert (headers, git) == ({}, None)


KEY = b"-----BEGIN PRIVATE KEY-----\n"
HOSTS = {"SSH_KNOWN_HOSTS": b"example.com ssh-ed25519 AAAA\n"}
BY_SSH = "git@example.com:app.git"


def test_ssh_goes_with_the_key_or_the_agent_that_run_has_as_default():
    key = RemoteSecrets(HOSTS, {"default": (KEY,), "other": (b"",)})
    assert key.git(BY_SSH) == SSHKey(KEY, HOSTS["SSH_KNOWN_HOSTS"])
    agent = RemoteSecrets(HOSTS, {}, {"default": "/run/agent"})
    assert agent.git("ssh://git@example.com:2222/app.git") == SSHAgent("/run/agent", HOSTS["SSH_KNOWN_HOSTS"])
    for url in ("https://example.com/app.git", "git://example.com/app.git"):
        assert key.git(url) is None


@pytest.mark.parametrize(
    ("secrets", "keys", "words"),
    [
        (HOSTS, {}, "'default' of --ssh, or spec.ssh, is not given"),
        ({}, {"default": (KEY,)}, "the secret SSH_KNOWN_HOSTS is not given"),
        (HOSTS, {"other": (KEY,)}, "'default' of --ssh"),
    ],
)
def test_without_both_ssh_goes_as_nobody_and_that_is_told(secrets, keys, words):
    warnings: list[str] = []
    assert RemoteSecrets(secrets, keys, warn=warnings.append).git("ssh://me:word@example.com/app.git") is None
    (warning,) = warnings
    assert words in warning
    assert "word" not in warning.replace("password", "")


def test_of_several_keys_none_is_chosen():
    with pytest.raises(InvalidRequestError, match="goes with one key, and 'default' has 2"):
        RemoteSecrets(HOSTS, {"default": (KEY, KEY)}).git(BY_SSH)


def test_what_names_no_host_is_not_sent_and_told():
    _, credentials, [warning] = opened("https://example.com/app.git", GIT_AUTH_TOKEN=b"t")
    assert credentials is None
    assert "call it GIT_AUTH_TOKEN.example.com" in warning


@pytest.mark.parametrize("value", [b"Bearer x", b"Basic ???", b"Basic " + base64.b64encode(b"me"), b"s3cret"])
def test_a_header_that_git_cannot_be_given_is_refused(value):
    with pytest.raises(InvalidRequestError, match=r"no `Basic` header") as raised:
        opened("https://example.com/app.git", GIT_AUTH_HEADER__example__com=value)
    assert value.decode() not in str(raised.value)
    assert raised.value.hint == "give the token as GIT_AUTH_TOKEN.example.com instead"
