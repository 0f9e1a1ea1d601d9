"""The way to a registry: TLS, client certificates, proxies, sockets, mirrors."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
from dataclasses import replace

import pytest

from strake_oci.errors import ConnectionFailedError, DNSError, ManifestUnknownError, TLSError
from strake_oci.http.bodies import DIRECT
from strake_oci.registry import (
    NO_RETRIES,
    ClientSettings,
    Mirror,
    RegistryClient,
    RegistrySettings,
    RetryPolicy,
    TLSSettings,
)
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Repository
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.proxy import pump, running_proxy, serving
from tests.fixtures.servers.registry import free_port, running_registry


@pytest.fixture(scope="module")
def secure(certificates):
    with running_registry(tls=certificates) as running:
        yield running


def only(host: str, **options) -> ClientSettings:
    return ClientSettings(registries={host: RegistrySettings(**options)})


def push(registry, path: str, layer: bytes):
    image = make_image(layer)
    with registry.client() as client:
        image.write(RegistryImages(client, registry.repository(path)), "1")
    return image


class TestTLS:
    def test_large_blobs_go_there_and_back_whole(self, secure):
        image = push(secure, "large", os.urandom(20_000_000))
        layer, data = image.blobs[1]
        assert layer.size > DIRECT
        with secure.client() as client, client.open_blob(secure.repository("large"), layer) as blob:
            assert blob.read() == data

    def test_unknown_authority_is_refused_and_explained(self, secure):
        with RegistryClient() as client, pytest.raises(TLSError, match=r"not trusted.*give the CA"):
            client.tags(secure.repository("a"))

    def test_verification_can_be_switched_off(self, secure):
        image = push(secure, "a", b"x")
        with RegistryClient(only(secure.host, tls=TLSSettings(verify=False))) as client:
            assert client.resolve(secure.repository("a").tag("1")) == image.descriptor

    def test_plain_registry_is_never_spoken_to_unasked(self, plain):
        with RegistryClient() as client, pytest.raises(TLSError, match="for plain HTTP: --insecure-registry"):
            client.tags(plain.repository("a"))

    def test_client_certificate(self, certificates):
        with running_registry(tls=certificates.demanding_client()) as registry:
            trust = TLSSettings(ca_files=(certificates.ca,))
            stranger = RegistryClient(only(registry.host, tls=trust), retry=NO_RETRIES)
            with stranger, pytest.raises(ConnectionFailedError):
                stranger.tags(registry.repository("a"))
            known = replace(trust, client_certificate=certificates.client, client_key=certificates.client_key)
            with RegistryClient(only(registry.host, tls=known)) as client:
                make_image(b"x").write(RegistryImages(client, registry.repository("a")), "1")

    def test_certificate_file_that_is_missing(self, tmp_path):
        settings = only("localhost:1", tls=TLSSettings(ca_files=(tmp_path / "none.pem",)))
        with RegistryClient(settings) as client, pytest.raises(TLSError, match="check the paths"):
            client.tags(Repository("localhost:1", "a"))


class TestConnections:
    def test_name_that_does_not_resolve(self):
        with RegistryClient(retry=NO_RETRIES) as client, pytest.raises(DNSError, match="does not resolve"):
            client.tags(Repository("registry.invalid", "a"))

    def test_nobody_listens(self):
        host = f"localhost:{free_port()}"
        policy = RetryPolicy(attempts=3, base=0.001)
        client = RegistryClient(only(host, plain_http=True), retry=policy)
        with client, pytest.raises(ConnectionFailedError, match="tried 3 times"):
            client.tags(Repository(host, "a"))

    def test_registry_behind_a_unix_socket(self, plain, tmp_path):
        image = push(plain, "sock", b"x")
        path = tmp_path / "gateway.sock"
        with forwarding(path, plain.host):
            settings = only("registry.example", location="http://gateway", unix_socket=path)
            with RegistryClient(settings) as client:
                found = client.resolve(Repository("registry.example", "sock").tag("1"))
        assert found == image.descriptor


class TestProxy:
    @pytest.fixture
    def proxy(self):
        with running_proxy() as running:
            yield running

    def test_https_goes_through_the_proxy(self, secure, certificates, proxy, monkeypatch):
        image = push(secure, "proxied", b"x")
        name = "registry.example:" + secure.host.partition(":")[2]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        # The certificate is localhost's; the proxy takes every name to this machine.
        with RegistryClient(only(name, tls=TLSSettings(verify=False))) as client:
            assert client.resolve(Repository(name, "proxied").tag("1")) == image.descriptor
        assert proxy.asked == [f"CONNECT {name}"]

    def test_no_proxy_is_obeyed(self, proxy, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.invalid")
        with RegistryClient(retry=NO_RETRIES) as client, pytest.raises(DNSError):
            client.tags(Repository("registry.invalid", "a"))
        assert not proxy.asked


class TestMirrors:
    def test_mirror_is_asked_first(self, plain):
        image = push(plain, "proxy/team/app", b"mirrored")
        settings = mirrored(plain.host, Mirror(plain.host, "proxy"))
        with RegistryClient(settings) as client:
            repository = Repository("registry.invalid", "team/app")
            assert client.manifest(repository, "1") == (image.descriptor, image.data)
            with client.open_blob(repository, image.blobs[1][0]) as blob:
                assert blob.read() == image.blobs[1][1]

    def test_source_is_asked_where_the_mirror_has_nothing(self, plain):
        with running_registry() as source:
            image = push(source, "team/app", b"only here")
            plain_http = RegistrySettings(plain_http=True)
            entry = replace(plain_http, mirrors=(Mirror(plain.host, "nothing"),))
            settings = ClientSettings(registries={source.host: entry, plain.host: plain_http})
            with RegistryClient(settings) as client:
                assert client.resolve(source.repository("team/app").tag("1")) == image.descriptor
                with client.open_blob(source.repository("team/app"), image.blobs[1][0]) as blob:
                    assert blob.read() == image.blobs[1][1]

    def test_mirrors_only(self, plain):
        entry = RegistrySettings(mirrors=(Mirror(plain.host, "nothing"),), mirrors_only=True)
        settings = ClientSettings(
            registries={"registry.invalid": entry, plain.host: RegistrySettings(plain_http=True)}
        )
        with RegistryClient(settings) as client, pytest.raises(ManifestUnknownError):
            client.manifest(Repository("registry.invalid", "a"), "1")

    def test_error_tells_of_the_mirror_too(self, plain):
        settings = mirrored(plain.host, Mirror(plain.host, "nothing"))
        with RegistryClient(settings, retry=NO_RETRIES) as client, pytest.raises(DNSError) as raised:
            client.manifest(Repository("registry.invalid", "a"), "1")
        assert f"mirror {plain.host}/nothing/a: pulling manifest 1" in str(raised.value)

    def test_pull_through_cache(self, plain):
        image = push(plain, "team/cached", b"cached")
        with running_registry(proxy_of=plain.url) as cache:
            entry = RegistrySettings(mirrors=(Mirror(cache.host),), mirrors_only=True)
            settings = ClientSettings(
                registries={"registry.invalid": entry, cache.host: RegistrySettings(plain_http=True)}
            )
            with RegistryClient(settings) as client:
                repository = Repository("registry.invalid", "team/cached")
                assert client.resolve(repository.tag("1")) == image.descriptor
                with client.open_blob(repository, image.blobs[1][0]) as blob:
                    assert blob.read() == b"cached"


def mirrored(host: str, mirror: Mirror) -> ClientSettings:
    return ClientSettings(
        registries={
            "registry.invalid": RegistrySettings(mirrors=(mirror,)),
            host: RegistrySettings(plain_http=True),
        }
    )


@contextlib.contextmanager
def forwarding(path, host):
    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            name, _, port = host.partition(":")
            with socket.create_connection((name, int(port))) as upstream:
                pump(self.request, upstream)

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        block_on_close = False

    with serving(Server(os.fspath(path), Connection)):
        yield
