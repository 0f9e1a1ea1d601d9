"""Who gets a password: one server, over https."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from strake_api.requests.build import BuildRequest
from strake_builder.context.git.credentials import (
    GitCredentials,
    git_credentials_from,
    git_credentials_of,
)
from strake_builder.context.git.secret import mounted_git_access
from strake_builder.errors import InvalidRequestError

URL = "https://git.example/app"
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
        ({"password": "a\nb", "host": "git.example"}, "more than one line"),
        ({"password": "a", "username": "b\0", "host": "git.example"}, "more than one line"),
    ],
)
def test_secrets_that_are_none(tmp_path, files, complaint):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidRequestError, match=complaint):
        mounted_git_access(str(tmp_path), URL)


def test_a_secret_may_end_its_lines(tmp_path):
    for name, content in {"username": "me\n", "password": "secret\r\n", "host": "git.example\n"}.items():
        (tmp_path / name).write_text(content)
    assert mounted_git_access(str(tmp_path), URL) == GitCredentials("me", "secret")


def opens(folder, hosts, url):
    (folder / "password").write_text("secret")
    if hosts is not None:
        (folder / "host").write_text(hosts)
    try:
        return mounted_git_access(str(folder), url) is not None
    except InvalidRequestError as error:
        return str(error)


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        ("git.example", "https://git.example/app"),
        ("git.example", "https://GIT.example:443/app"),
        ("https://git.example", "https://git.example/app.git"),
        ("https://git.example/", "https://git.example/app.git"),
        ("Git.Example:443", "https://git.example/app"),
        ("git.example:8443", "https://git.example:8443/app"),
        ("other.example git.example", "https://git.example/app"),
        ("other.example\ngit.example\n", "https://git.example/app"),
        ("other.example, git.example", "https://git.example/app"),
        ("[::1]:8443", "https://[::1]:8443/app"),
    ],
)
def test_a_secret_is_for_the_servers_that_it_names(tmp_path, hosts, url):
    assert opens(tmp_path, hosts, url) is True


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (None, "https://git.example/app"),
        ("", "https://git.example/app"),
        (" \n", "https://git.example/app"),
        ("db.internal", "https://evil.example/app"),
        ("git.example", "https://git.example.evil.example/app"),
        ("git.example", "https://evil-git.example/app"),
        ("git.example", "https://evil.example/git.example"),
        ("git.example", "https://evil.example#git.example"),
        ("git.example", "https://evil.example?git.example"),
        ("git.example", "https://evil.example#@git.example/app"),
        ("git.example", "https://git.example:8443/app"),
        ("git.example:8443", "https://git.example/app"),
        ("git", "https://git.example/app"),
        ("*", "https://git.example/app"),
        ("*.example", "https://git.example/app"),
        ("http://git.example", "https://git.example/app"),
        ("postgres://git.example", "https://git.example/app"),
        (".example", "https://git.example/app"),
    ],
)
def test_and_for_no_other(tmp_path, hosts, url):
    refusal = opens(tmp_path, hosts, url)
    assert urlsplit(url).netloc.rpartition("@")[2].lower() in refusal
    assert "`host`" in refusal


def test_a_password_is_in_no_representation():
    assert "secret" not in repr(KNOWN)


def request_of(*urls: str) -> BuildRequest:
    """Return a request whose first URL is the context's, "" for a directory."""
    own, *others = urls
    source = {"git": {"url": own}} if own else {"directory": {"path": "/c"}}
    contexts = [{"name": f"c{at}", "source": {"git": {"url": url}}} for at, url in enumerate(others)]
    return BuildRequest.model_validate(
        {"source": source, "contexts": contexts, "output": {"destinations": []}, "workDirectory": "/w"}
    )


@pytest.mark.parametrize(
    ("urls", "given"),
    [
        (("https://a.example/x",), {"https://a.example/x"}),
        (
            ("https://a.example/x", "https://a.example/y", "https://b.example/z"),
            {"https://a.example/x", "https://a.example/y"},
        ),
        (("", "https://a.example/x", "https://a.example/y"), {"https://a.example/x", "https://a.example/y"}),
        (("", "https://a.example/x", "https://b.example/y"), set()),
        (("",), set()),
    ],
)
def test_variables_are_for_one_server(urls, given):
    assert git_credentials_of(request_of(*urls), {"GIT_TOKEN": "x"}).keys() == given
    assert git_credentials_of(request_of(*urls), {}) == {}
