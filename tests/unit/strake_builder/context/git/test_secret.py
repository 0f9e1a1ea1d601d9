"""Mounted Secrets with SSH keys: which are taken, for which servers, and what is missing in others."""

from __future__ import annotations

import pytest

from strake_builder.context.git.secret import mounted_git_access
from strake_builder.context.git.ssh import SSHKey, ssh_server
from strake_builder.errors import InvalidRequestError

KEY = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"
LOCKED = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
# The first bytes of what ssh-keygen writes with and without a passphrase: the name of the cipher.
OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n"
PLAIN = OPENSSH.format("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQy")
CIPHERED = OPENSSH.format("b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDDzdMDrrQQ")
KNOWN = "git.example ssh-ed25519 AAAA\n"
URL = "git@git.example:team/app.git"


def mounted(directory, url=URL, **keys):
    for name, content in keys.items():
        (directory / name.replace("_privatekey", "-privatekey")).write_text(content)
    return mounted_git_access(str(directory), url)


@pytest.mark.parametrize("key", [KEY, PLAIN], ids=["pem", "openssh"])
@pytest.mark.parametrize("name", ["ssh_privatekey", "identity"])
def test_keys_of_kubernetes_and_of_flux(tmp_path, name, key):
    found = mounted(tmp_path, known_hosts=KNOWN, **{name: key})
    assert found == SSHKey(key.encode(), KNOWN.encode())
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (URL, "git.example"),
        (URL, "git.example:22"),
        ("ssh://git@git.example/app", "ssh://git.example"),
        ("ssh://git@GIT.example:2222/app", "other.example, git.example:2222"),
    ],
)
def test_a_host_may_name_fewer_than_known_hosts(tmp_path, url, host):
    assert mounted(tmp_path, url, ssh_privatekey=KEY, known_hosts=KNOWN, host=host)


@pytest.mark.parametrize(
    ("keys", "url", "words"),
    [
        ({"password": "x", "host": "git.example"}, URL, "has no SSH key .its type is kubernetes.io/ssh-auth"),
        ({"ssh_privatekey": KEY}, URL, "has no known_hosts.*`ssh-keyscan git.example`"),
        ({"ssh_privatekey": KEY, "known_hosts": "\n"}, "ssh://h:22/x", "`ssh-keyscan h`"),
        ({"ssh_privatekey": KEY}, "ssh://git@git.example:2222/x", "`ssh-keyscan -p 2222 git.example`"),
        (
            {"ssh_privatekey": KEY, "known_hosts": KNOWN, "host": "other.example"},
            URL,
            "is not for git.example",
        ),
        (
            {"ssh_privatekey": KEY, "known_hosts": KNOWN, "host": "git.example"},
            "ssh://git@git.example:2222/x",
            "is not for git.example:2222",
        ),
        ({"ssh_privatekey": LOCKED, "known_hosts": KNOWN}, URL, "has a passphrase"),
        ({"ssh_privatekey": CIPHERED, "known_hosts": KNOWN}, URL, "has a passphrase"),
        ({"ssh_privatekey": "ssh-ed25519 AAAA me", "known_hosts": KNOWN}, URL, "is no private key"),
        ({"ssh_privatekey": KEY, "known_hosts": KNOWN}, "https://git.example/x", "has no password"),
    ],
)
def test_what_is_missing_is_said(tmp_path, keys, url, words):
    with pytest.raises(InvalidRequestError, match=words):
        mounted(tmp_path, url, **keys)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (URL, ("git.example", 22)),
        ("ssh://git@Git.Example:2222/x", ("git.example", 2222)),
        ("ssh://[::1]/x", ("::1", 22)),
        ("ssh://h:99999/x", None),
        ("https://git@git.example/x", None),
        ("git.example:x", None),
        ("-oProxyCommand=x@h:y", None),
    ],
)
def test_servers_of_urls(url, server):
    assert ssh_server(url) == server
