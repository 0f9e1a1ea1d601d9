"""Who gets a password: one server, over https."""

from __future__ import annotations

import pytest

from strake_builder.context.git_credentials import (
    GitCredentials,
    git_credentials_from,
    mounted_git_credentials,
)
from strake_builder.errors import InvalidRequestError

KNOWN = GitCredentials("me", "secret")


@pytest.mark.parametrize(
    "url", ["http://git.example/app", "git://git.example/app", "ssh://git.example/app", "me@git.example:app"]
)
def test_nothing_goes_over_anything_but_https(url):
    assert KNOWN.variables(url) == {}


def test_settings_are_those_of_one_host_and_port():
    variables = KNOWN.variables("https://someone@git.example:8443/team/app.git")
    names = {value for name, value in variables.items() if name.startswith("GIT_CONFIG_KEY")}
    assert names == {
        "credential.helper",
        "credential.https://git.example:8443.helper",
    }
    assert variables["GIT_CONFIG_COUNT"] == "2"
    assert not any("secret" in value for name, value in variables.items() if name.startswith("GIT_"))


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        ({"GIT_USERNAME": "me"}, None),
        ({"GIT_PASSWORD": "p"}, GitCredentials("x-access-token", "p")),
        ({"GIT_USERNAME": "me", "GIT_PASSWORD": "p"}, GitCredentials("me", "p")),
        ({"GIT_TOKEN": "t", "GIT_PASSWORD": "p"}, GitCredentials("x-access-token", "t")),
    ],
)
def test_variables(variables, found):
    assert git_credentials_from(variables) == found


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "has no password"),
        ({"username": "me"}, "has no password"),
        ({"password": ""}, "has no password"),
        ({"password": "a\nb"}, "more than one line"),
        ({"password": "a", "username": "b\0"}, "more than one line"),
    ],
)
def test_secrets_that_are_none(tmp_path, files, complaint):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidRequestError, match=complaint):
        mounted_git_credentials(str(tmp_path))


def test_a_secret_may_end_its_lines(tmp_path):
    (tmp_path / "username").write_text("me\n")
    (tmp_path / "password").write_text("secret\r\n")
    assert mounted_git_credentials(str(tmp_path)) == GitCredentials("me", "secret")


def test_a_password_is_in_no_representation():
    assert "secret" not in repr(KNOWN)
