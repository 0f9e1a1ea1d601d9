"""Passwords and plain HTTP: none goes out where others may be on the way, unless somebody says so by name."""

from __future__ import annotations

import base64
import json
import socket
import subprocess

import pytest

from strake_oci.credentials import Credentials
from strake_oci.errors import UnauthorizedError
from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Repository
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.token_server import running_token_server

USER, PASSWORD = "pusher", "s3cret-words"
FAR = "registry.internal"


@pytest.fixture(autouse=True)
def far(monkeypatch):
    """Have a name for this machine that does not tell that it is this machine."""
    real = socket.getaddrinfo

    def found(host, *words, **more):
        return real("127.0.0.1" if host == FAR else host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.fixture
def locked():
    with running_registry(htpasswd={USER: PASSWORD}) as registry:
        yield registry


def config(folder, host, **entry):
    pair = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry or pair}}))
    return Credentials.from_files([("file", folder / "config.json")])


def attempt(tmp_path, registry, host, *, allowed=False, **entry):
    """Push to a registry by one of its names."""
    access = RegistrySettings(plain_http=True, clear_credentials=allowed)
    with RegistryClient(ClientSettings(registries={host: access}), config(tmp_path, host, **entry)) as client:
        make_image(b"x").write(RegistryImages(client, Repository(host, "team/app")), "1")


def is_pushed(registry) -> bool:
    return (registry.root / "docker/registry/v2/repositories/team/app/_manifests/tags/1").exists()


def test_a_password_is_not_sent_in_clear(tmp_path, locked):
    host = f"{FAR}:{locked.host.rpartition(':')[2]}"
    with pytest.raises(UnauthorizedError, match="over plain HTTP") as raised:
        attempt(tmp_path, locked, host)
    assert f"--insecure-credentials {host}" in str(raised.value)
    assert PASSWORD not in str(raised.value)
    assert not is_pushed(locked)
    assert not [line for line in locked.requests() if USER in line], "the registry's log names who asks"


def test_but_where_it_is_allowed_by_name(tmp_path, locked):
    attempt(tmp_path, locked, f"{FAR}:{locked.host.rpartition(':')[2]}", allowed=True)
    assert is_pushed(locked)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_loopback_is_nobodys_way(tmp_path, locked, name):
    attempt(tmp_path, locked, f"{name}:{locked.host.rpartition(':')[2]}")
    assert is_pushed(locked)


def test_a_localhost_that_is_elsewhere_is_a_name_as_any(tmp_path, monkeypatch, locked):
    real = socket.getaddrinfo
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    lies = {"localhost": [entry]}
    monkeypatch.setattr(
        "strake_oci.name_lookup.socket.getaddrinfo",
        lambda host, port, *words, **more: (
            lies[host] if host in lies and port is None else real(host, port, *words, **more)
        ),
    )
    with pytest.raises(UnauthorizedError, match="over plain HTTP"):
        attempt(tmp_path, locked, locked.host)


def test_nor_is_a_token(tmp_path, locked):
    host = f"{FAR}:{locked.host.rpartition(':')[2]}"
    with pytest.raises(UnauthorizedError, match="over plain HTTP"):
        attempt(tmp_path, locked, host, registrytoken="t0ken-of-mine")
    with pytest.raises(UnauthorizedError, match="over plain HTTP"):
        attempt(tmp_path, locked, host, identitytoken="t0ken-of-mine")


def test_a_token_server_with_tls_gets_no_password_for_a_registry_without(tmp_path, certificates):
    """Its token would go to the registry in clear, and push for minutes."""
    server = running_token_server(certificates, users={USER: PASSWORD})
    with server as tokens, running_registry(tokens=tokens) as registry:
        with pytest.raises(UnauthorizedError, match="over plain HTTP"):
            attempt(tmp_path, registry, f"{FAR}:{registry.host.rpartition(':')[2]}")
        assert not [user for user, _ in tokens.asked if user]


def test_what_a_registry_gives_to_anybody_is_pulled_as_before(tmp_path):
    with running_registry() as registry:
        host = f"{FAR}:{registry.host.rpartition(':')[2]}"
        attempt(tmp_path, registry, host)
        attempt(tmp_path, registry, host, registrytoken="t0ken-of-mine")
        assert not any("t0ken" in line for line in registry.requests())


def test_allowing_it_needs_a_registry_without_tls():
    command = [str(STRAKE), "copy", "--insecure-credentials", "r.example", "r.example/a", "oci:/nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 2
    assert "r.example is spoken to with TLS" in done.stderr
