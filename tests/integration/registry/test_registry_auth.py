"""Authentication against real registries: what is sent, how often, and what people read."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.credentials import Credentials, default_credentials
from strake_oci.errors import DeniedError, UnauthorizedError
from strake_oci.registry import NO_RETRIES, ClientSettings, RegistryClient, RegistrySettings
from strake_oci.registry.images import RegistryImages
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.token_server import running_token_server

USER, PASSWORD = "builder", "s3cret-words"


def docker_config(folder, host, user=USER, password=PASSWORD):
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    path = folder / "config.json"
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return path


@pytest.fixture
def tokens(certificates):
    with running_token_server(certificates, users={USER: PASSWORD}, anonymous=frozenset({"pull"})) as server:
        yield server


@pytest.fixture
def registry(tokens):
    with running_registry(tokens=tokens) as running:
        yield running


@pytest.fixture
def credentials(tmp_path, registry):
    return Credentials.from_files([("secret team/push", docker_config(tmp_path, registry.host))])


def test_one_token_serves_many_threads(registry, tokens, credentials):
    images = [make_image(bytes([number])) for number in range(8)]
    with registry.client(credentials=credentials) as client, ThreadPoolExecutor(8) as pool:
        store = RegistryImages(client, registry.repository("team/app"))
        list(pool.map(lambda image: image.write(store, None), images))
    scopes = [parameters["scope"] for _, parameters in tokens.asked]
    assert sorted(scopes) == [["repository:team/app:pull"], ["repository:team/app:pull,push"]]


def test_expired_token_is_renewed(certificates):
    server = running_token_server(
        certificates, users={USER: PASSWORD}, anonymous=frozenset({"pull"}), lifetime=1
    )
    with server as tokens, running_registry(tokens=tokens) as registry, registry.client() as client:
        repository = registry.repository("team/app")
        for _ in range(3):
            assert not client.blob_exists(repository, make_image(b"x").descriptor.digest)
            time.sleep(1.1)  # the token's life is what is tested
        assert len(tokens.asked) == 3


def test_token_that_the_registry_refuses_is_replaced(registry, tokens, credentials):
    with registry.client(credentials=credentials) as client:
        store = RegistryImages(client, registry.repository("team/app"))
        make_image(b"one").write(store, "1")
        tokens.lifetime = -100  # what is handed out from here on is dead when it comes
        with pytest.raises(UnauthorizedError):
            make_image(b"two").write(RegistryImages(client, registry.repository("other/app")), "1")
        tokens.lifetime = 300
        make_image(b"two").write(RegistryImages(client, registry.repository("other/app")), "1")


def test_mount_asks_for_both_repositories_in_one_token(registry, tokens, credentials):
    with registry.client(credentials=credentials) as client:
        image = make_image(b"layer")
        image.write(RegistryImages(client, registry.repository("base/image")), "1")
        tokens.asked.clear()
        assert client.mount_blob(
            registry.repository("team/app"), image.blobs[0][0].digest, registry.repository("base/image")
        )
    [(_, parameters)] = tokens.asked
    assert parameters["scope"] == ["repository:base/image:pull", "repository:team/app:pull,push"]


def test_anonymous_push_says_that_no_credential_was_found(registry, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with registry.client(credentials=default_credentials(), retry=NO_RETRIES) as client:
        store = RegistryImages(client, registry.repository("team/app"))
        with pytest.raises((UnauthorizedError, DeniedError)) as raised:
            make_image(b"x").write(store, "1")
    assert f"no credentials for {registry.host}" in str(raised.value)
    assert "strake login" in str(raised.value)


@pytest.mark.parametrize("status", [401, 403])
def test_token_server_that_knows_no_strangers(certificates, tmp_path, status):
    """GitHub's answers 403 to strangers, others 401: in both cases it is a login that is missing."""
    credentials = default_credentials({"DOCKER_CONFIG": str(docker_config(tmp_path, "elsewhere.io").parent)})
    server = running_token_server(certificates, users={USER: PASSWORD}, strangers=status)
    with server as tokens, running_registry(tokens=tokens) as registry:
        client = registry.client(credentials=credentials)
        with client, pytest.raises((UnauthorizedError, DeniedError)) as raised:
            client.tags(registry.repository("team/app"))
        message = str(raised.value)
        assert f"no credentials for {registry.host}; searched: {tmp_path}/config.json" in message
        assert f"strake login {registry.host}" in message


def test_identity_token_is_not_sent_as_a_password(tmp_path):
    with running_registry(htpasswd={USER: PASSWORD}) as registry:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"auths": {registry.host: {"identitytoken": "l0ng-lived"}}}))
        client = registry.client(credentials=Credentials.from_files([("file", path)]))
        with client, pytest.raises(UnauthorizedError, match="with the identity token from file") as raised:
            client.tags(registry.repository("team/app"))
        assert "l0ng-lived" not in str(raised.value)
        assert len(registry.requests()) == 1


def test_wrong_password_names_its_source_and_not_the_secret(registry, tmp_path):
    path = docker_config(tmp_path, registry.host, password="wr0ng-secret")
    credentials = Credentials.from_files([("secret team/push", path)])
    with registry.client(credentials=credentials) as client, pytest.raises(UnauthorizedError) as raised:
        client.tags(registry.repository("team/app"))
    message = str(raised.value)
    assert "user builder" in message
    assert f"secret team/push ({registry.host})" in message
    assert "wr0ng-secret" not in message + repr(raised.value.context)


def test_basic_authentication_is_sent_from_the_second_request_on(tmp_path):
    with running_registry(htpasswd={USER: PASSWORD}) as registry:
        credentials = Credentials.from_files([("file", docker_config(tmp_path, registry.host))])
        with registry.client(credentials=credentials) as client:
            for _ in range(3):
                client.blob_exists(registry.repository("a"), make_image(b"x").descriptor.digest)
        statuses = [
            line.split('" ')[1][:3] for line in registry.log.read_text().splitlines() if "HEAD" in line
        ]
    assert statuses.count("401") == 1


def test_realm_on_plain_http_is_refused_for_a_tls_registry(certificates):
    server = running_token_server(certificates, users={USER: PASSWORD})
    with server as tokens, running_registry(tls=certificates, tokens=tokens) as registry:
        with (
            registry.client() as client,
            pytest.raises(Exception, match="token realm from a TLS registry to plain"),
        ):
            client.tags(registry.repository("team/app"))
        assert not tokens.asked


def test_credentials_of_one_registry_are_not_sent_to_another(tmp_path, registry):
    with running_registry(htpasswd={"x": "y"}) as other:
        credentials = Credentials.from_files([("file", docker_config(tmp_path, registry.host))])
        plain = RegistrySettings(plain_http=True)
        settings = ClientSettings(registries={other.host: plain})
        with RegistryClient(settings, credentials) as client, pytest.raises(UnauthorizedError) as raised:
            client.tags(other.repository("team/app"))
    assert "no credentials" in str(raised.value)
