"""The registry client against registries that mean harm: each attack ends soon, in a clear error, in little memory."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from strake_oci.credentials import Credential
from strake_oci.errors import (
    InvalidDocumentError,
    OCIError,
    ProtocolError,
    RejectedError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from strake_oci.http import transport
from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import parse
from tests.faults import faults
from tests.faults.registry import FAST, FaultyRegistry

BLOB = b"harmless" * 1000


class Known:
    def __init__(self, credential=None):
        self._credential = credential or Credential("the test", "user", "s3cret")

    def lookup(self, repository):
        return self._credential

    def describe(self):
        return "the test"


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def client(registry):
    with registry.client() as made:
        yield made


def pull(client, registry, data=BLOB):
    with client.open_blob(registry.repository(), Descriptor.of("x", data)) as blob:
        return blob.read()


class TestRedirects:
    def test_blob_may_be_elsewhere_but_the_password_stays(self, registry):
        with FaultyRegistry() as storage:
            digest = storage.put_blob(BLOB, "bucket")
            registry.add(
                faults.redirect(f"http://127.0.0.1:{storage.host[-5:]}/v2/bucket/blobs/{digest}?sig=x")
            )
            registry.faults.insert(0, demand_basic)
            with registry.client(credentials=Known()) as client:
                assert pull(client, registry) == BLOB
            assert "Authorization" in registry.seen[-1].headers
            assert "Authorization" not in storage.seen[-1].headers

    @pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
    def test_storage_cannot_ask_for_the_password(self, registry, scheme):
        """The storage is not the registry: what it demands is not answered, there or anywhere."""
        with FaultyRegistry() as thief:
            there = thief.host.replace("localhost", "127.0.0.1")
            challenge = f'{scheme} realm="http://{there}/token"'
            thief.add(faults.status(401, method="GET|HEAD", times=99, WWW_Authenticate=challenge))
            registry.add(faults.redirect(f"http://{there}/bucket"))
            with registry.client(credentials=Known()) as client:
                with pytest.raises(UnauthorizedError, match=r"by 127\.0\.0\.1, where the registry sent us"):
                    pull(client, registry)
                registry.faults.clear()
                registry.put_blob(BLOB)
                assert pull(client, registry) == BLOB
            assert len(thief.seen) == 1
            sent = [*registry.seen, *thief.seen]
            assert not any("Authorization" in seen.headers for seen in sent)

    def test_loop_ends(self, registry, client):
        digest = registry.put_blob(BLOB)
        registry.add(faults.redirect(f"/v2/team/app/blobs/{digest}"))
        with pytest.raises(ProtocolError, match="redirects"):
            pull(client, registry)
        assert len(registry.seen) < 10

    @pytest.mark.parametrize(
        "target", ["file:///etc/passwd", "ftp://localhost/x", "gopher://x", "//", "http://[::1"]
    )
    def test_other_schemes_are_refused(self, registry, client, target):
        registry.add(faults.redirect(target))
        with pytest.raises(ProtocolError):
            pull(client, registry)


class TestAuthentication:
    @pytest.mark.parametrize("realm", ["file:///etc/passwd", "", "http://", "javascript:alert(1)"])
    def test_realm_that_is_no_url(self, registry, client, realm):
        registry.add(faults.status(401, method="GET", times=9, WWW_Authenticate=f'Bearer realm="{realm}"'))
        with pytest.raises(ProtocolError, match="token realm"):
            pull(client, registry)

    def test_realm_on_this_machine_is_refused_to_a_registry_elsewhere(self, registry, monkeypatch):
        """The registry seems to be far away: its name resolves to a public address for the check."""
        far = "registry.example"
        monkeypatch.setattr("strake_oci.http.url_policy._is_inward", lambda host: host != far)
        realm = f'Bearer realm="http://{registry.host}/token"'
        registry.add(faults.status(401, method="GET", path="/v2/", times=9, WWW_Authenticate=realm))
        entry = RegistrySettings(location=f"http://{far}", plain_http=True)
        settings = ClientSettings(registries={far: entry})
        monkeypatch.setattr(transport.Transport, "_built", to_this_machine(registry, far))
        with (
            RegistryClient(settings, retry=FAST) as client,
            pytest.raises(ProtocolError, match="this machine"),
        ):
            client.tags(registry.repository().__class__(far, "team/app"))
        assert not registry.requests(part="/token")

    @pytest.mark.parametrize(
        "credential", [Credential("t", "user", "s3cret"), Credential("t", identity_token="s3cret")]
    )
    def test_no_password_goes_to_another_host_in_clear_text(self, registry, credential):
        """The registry alone was named insecure, not whom it names."""
        with FaultyRegistry() as other:
            there = other.host.replace("localhost", "127.0.0.1")
            realm = f'Bearer realm="http://{there}/token",service="x"'
            registry.add(faults.status(401, method="GET", path="/v2/", times=99, WWW_Authenticate=realm))
            with (
                registry.client(credentials=Known(credential)) as client,
                pytest.raises(
                    ProtocolError, match=r"not sent to the token realm 127\.0\.0\.1 over plain HTTP"
                ) as raised,
            ):
                pull(client, registry)
            assert "s3cret" not in str(raised.value)
            assert not other.seen

    @pytest.mark.parametrize("is_known", [True, False])
    def test_a_token_in_clear_text_where_nothing_is_given_away(self, registry, is_known):
        """From the registry's own host with a password, from any without one."""
        registry.put_blob(BLOB)
        with FaultyRegistry() as other:
            there = other.host if is_known else other.host.replace("localhost", "127.0.0.1")
            realm = f'Bearer realm="http://{there}/token",service="x"'
            registry.add(faults.status(401, method="GET", path="/v2/", WWW_Authenticate=realm))
            other.add(faults.send(b'{"token":"abc"}', path="^/token"))
            with registry.client(**({"credentials": Known()} if is_known else {})) as client:
                assert pull(client, registry) == BLOB
            assert ("Authorization" in other.seen[-1].headers) == is_known

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"[]",
            b"{}",
            b'{"token": 5}',
            b'{"token": "a\\nb"}',
            b"{" * 5000,
            b'{"token":"' + b"x" * 300_000,
        ],
        ids=["empty", "list", "nothing", "number", "newline", "deep", "long"],
    )
    def test_nonsense_from_the_token_server(self, registry, client, answer):
        challenge = f'Bearer realm="http://{registry.host}/token",service="x"'
        registry.add(
            faults.send(answer, path="^/token"),
            faults.status(401, method="GET", path="/v2/", times=9, WWW_Authenticate=challenge),
        )
        with pytest.raises(ProtocolError, match="token"):
            pull(client, registry)

    def test_endless_token(self, registry, client):
        challenge = f'Bearer realm="http://{registry.host}/token"'
        registry.add(
            faults.endless(path="^/token"),
            faults.status(401, method="GET", path="/v2/", times=9, WWW_Authenticate=challenge),
        )
        with pytest.raises(ProtocolError, match="longer than"):
            pull(client, registry)

    def test_challenges_without_end_are_answered_once(self, registry):
        registry.add(faults.status(401, method="GET", times=1000, WWW_Authenticate='Basic realm="x"'))
        with registry.client(credentials=Known()) as client, pytest.raises(UnauthorizedError) as raised:
            pull(client, registry)
        assert len(registry.seen) == 2
        assert "s3cret" not in str(raised.value)

    def test_secret_does_not_show_in_errors_about_the_realm(self, registry, client):
        challenge = f'Bearer realm="http://user:s3cret@{registry.host}/token?key=s3cret"'
        registry.add(
            faults.status(403, path="^/token", method="GET", times=9),
            faults.status(401, method="GET", path="/v2/", times=9, WWW_Authenticate=challenge),
        )
        with pytest.raises(OCIError) as raised:
            pull(client, registry)
        assert "s3cret" not in str(raised.value)


class TestDocuments:
    def test_compressed_manifest_is_not_unpacked(self, registry, client):
        bomb = gzip.compress(b" " * 50_000_000)
        registry.add(faults.send(bomb, path="/manifests/", Content_Encoding="gzip"))
        with pytest.raises(ProtocolError, match="encoded"):
            client.manifest(registry.repository(), "1")

    @pytest.mark.parametrize(
        "document",
        [
            {"schemaVersion": 2, "layers": [], "manifests": []},
            {"schemaVersion": 2, "config": None, "layers": None},
            {"schemaVersion": 3},
            {"schemaVersion": 2, "mediaType": "application/x-other"},
            [],
            {
                "schemaVersion": 2,
                "config": {"mediaType": "x", "digest": "sha256:../../etc", "size": 1},
                "layers": [],
            },
            {"schemaVersion": 2, "config": {"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": -1}},
        ],
    )
    def test_manifest_that_is_none(self, document):
        with pytest.raises((InvalidDocumentError, UnsupportedMediaTypeError)):
            parse(json.dumps(document).encode(), mediatype.OCI_MANIFEST)

    def test_document_that_is_two_things(self):
        entry = {"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": 1}
        document = {"schemaVersion": 2, "config": entry, "layers": [], "manifests": [entry]}
        for kind in (mediatype.OCI_MANIFEST, mediatype.OCI_INDEX):
            with pytest.raises(InvalidDocumentError, match=r"has the field"):
                parse(json.dumps(document).encode(), kind)

    def test_schema_1_is_named(self, registry, client):
        kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
        registry.add(faults.send(b"{}", path="/manifests/", Content_Type=kind))
        with pytest.raises(UnsupportedMediaTypeError, match="schema 1"):
            client.manifest(registry.repository(), "1")

    def test_error_of_the_registry_cannot_paint_the_terminal(self, registry, client):
        body = json.dumps(
            {"errors": [{"code": "DENIED", "message": "\x1b[2J\r\nfake: \u202eline" + "x" * 9999}]}
        )
        registry.add(faults.send(body.encode(), path="/manifests/", code=400))
        with pytest.raises(RejectedError) as raised:
            client.manifest(registry.repository(), "1")
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 1000

    def test_tags_without_end(self, registry, client, monkeypatch):
        monkeypatch.setattr("strake_oci.registry.manifests._MAX_TAG_PAGES", 20)
        link = '</v2/team/app/tags/list?last=x>; rel="next"'
        registry.add(faults.send(b'{"tags":["a"]}', path="/tags/list", Link=link))
        with pytest.raises(ProtocolError, match="pages"):
            client.tags(registry.repository())

    @pytest.mark.parametrize(
        ("path", "ask"),
        [
            ("/tags/list", lambda client, repository: client.tags(repository)),
            ("/referrers/", lambda client, repository: client.referrers(repository, Digest.sha256(b""))),
        ],
    )
    def test_lists_that_fill_the_memory(self, registry, client, path, ask, monkeypatch):
        monkeypatch.setattr("strake_oci.registry.manifests.MAX_LIST", 100_000)
        page = {"schemaVersion": 2, "manifests": [], "tags": ["a"], "annotations": {"x": "y" * 30_000}}
        link = f'</v2/team/app{path}?last=x>; rel="next"'
        registry.add(faults.send(json.dumps(page).encode(), path=path, Link=link))
        with pytest.raises(ProtocolError, match="100000 bytes"):
            ask(client, registry.repository())
        assert len(registry.seen) == 4


def demand_basic(exchange) -> bool:
    if "Authorization" in exchange.headers:
        return False
    for _ in exchange.body():
        pass
    exchange.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')
    return True


def to_this_machine(registry, far):
    """Let a name that does not exist lead to the faulty registry."""
    really = transport.Transport._built

    def built(self, request):
        return really(self, replace(request, url=request.url.replace(far, registry.host)))

    return built
