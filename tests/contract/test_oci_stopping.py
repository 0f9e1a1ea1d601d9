"""A client that is stopped ends what it has under way at once, whatever it waits for."""

from __future__ import annotations

import io
import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from strake_oci.errors import DigestMismatchError, MirrorError, NotFoundError, OCIError, StoppedError
from strake_oci.http.last_words import LAST_WORDS
from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings, RetryPolicy, TLSSettings
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.reference import Repository
from strake_oci.transfers.copying import copy_image
from tests.faults import faults
from tests.faults.moves import always_in_parts
from tests.faults.registry import FaultyRegistry
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.certificates import certificates
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.silence import Silence, deaf_port, mute_port

__all__ = ["certificates"]

SOON = 5.0
"""Seconds within which everything has ended, on a machine that is busy: a tenth of one is enough. The limits
of time that would end it otherwise begin at 15."""

DATA = os.urandom(20_000_000)
BLOB = Descriptor.of("application/octet-stream", DATA)


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        with running.client() as client:
            client.push_blob(running.repository("team/app"), BLOB, lambda: io.BytesIO(DATA))
            make_image(b"a layer").write(RegistryImages(client, running.repository("team/app")), "1")
        yield running


@pytest.fixture
def silence(registry):
    with Silence(registry.host) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = set(threading.enumerate())
    yield
    ours = {"blob-upload", "read-ahead", "look-up"}
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name in ours]


def download(client, repository):
    with client.open_blob(repository, BLOB) as blob:
        while blob.read(1 << 20):
            pass


def upload(client, repository):
    client.push_blob(Repository(repository.registry, "team/new"), BLOB, lambda: io.BytesIO(DATA))


def stream(client, repository):
    with client.start_upload(Repository(repository.registry, "team/new")) as made:
        for start in range(0, len(DATA), 1 << 20):
            made.write(DATA[start : start + (1 << 20)])
        made.commit(BLOB.digest)


def copy(client, repository):
    client.copy_blob(repository, Repository(repository.registry, "team/copy"), BLOB)


def resolve(client, repository):
    client.resolve(repository.tag("1"))


def check(client, repository):
    client.check_push(repository)


ACTS = {act.__name__: act for act in (download, upload, stream, resolve, check)}


def assert_stopped_soon(client, future) -> None:
    time.sleep(0.2)  # nothing tells from outside that it waits
    assert not future.done()
    begun = time.monotonic()
    client.stop()
    assert isinstance(future.exception(timeout=180), StoppedError)
    assert time.monotonic() - begun < SOON


def stopped_while(action, client, is_time):
    """Stop a client while another thread does something, and return what that ended with, and after how long."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(action)
        assert is_time.wait(180)
        time.sleep(0.05)  # so that the thread waits for the next bytes, and is not about to
        assert not future.done()
        begun = time.monotonic()
        client.stop()
        error = future.exception(timeout=180)
        return error, time.monotonic() - begun


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("silent", [{"down": 0}, {"up": 0}], ids=["no answer", "nothing is taken"])
def test_a_registry_that_never_answers(silence, act, silent):
    silence.fall(**silent)
    with silence.client() as client:
        error, seconds = stopped_while(lambda: act(client, silence.repository()), client, silence.fallen)
    assert isinstance(error, StoppedError), error
    assert seconds < SOON


@pytest.mark.parametrize(
    ("act", "silent"),
    [
        (download, {"down": 100_000}),
        (download, {"down": 19_000_000}),
        (upload, {"up": 3_000_000}),
        (upload, {"up": 100}),
        (stream, {"up": 3_000_000}),
        (stream, {"up": 19_900_000}),
    ],
)
def test_a_transfer_that_stalls(registry, silence, act, silent):
    silence.fall(**silent)
    with silence.client() as client:
        error, seconds = stopped_while(lambda: act(client, silence.repository()), client, silence.fallen)
    assert isinstance(error, StoppedError), error
    assert seconds < SOON
    with registry.client() as client:
        assert not client.blob_exists(registry.repository("team/new"), BLOB.digest)


@pytest.mark.parametrize(("act", "silent"), [(download, {"down": 1_000_000}), (upload, {"up": 3_000_000})])
def test_a_transfer_over_tls(certificates, act, silent):
    """The thread waits in the TLS library, for a socket of another descriptor than the first."""
    with running_registry(tls=certificates) as secure, Silence(secure.host) as silence:
        with secure.client() as client:
            client.push_blob(secure.repository("team/app"), BLOB, lambda: io.BytesIO(DATA))
        trusted = RegistrySettings(tls=TLSSettings(ca_files=(certificates.ca,)))
        silence.fall(**silent)
        with RegistryClient(ClientSettings({silence.host: trusted})) as client:
            error, seconds = stopped_while(lambda: act(client, silence.repository()), client, silence.fallen)
    assert isinstance(error, StoppedError), error
    assert seconds < SOON


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_says_nothing(monkeypatch, scheme):
    with mute_port() as host:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{host}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        far = Repository("registry.invalid", "team/app")
        settings = ClientSettings({far.registry: RegistrySettings(plain_http=scheme == "http")})
        with RegistryClient(settings) as client, ThreadPoolExecutor(1) as pool:
            assert_stopped_soon(client, pool.submit(client.tags, far))


def test_a_blob_that_comes_over_several_connections(silence, monkeypatch):
    always_in_parts(monkeypatch)
    silence.fall(down=12_000_000)
    with silence.client() as client:
        error, seconds = stopped_while(lambda: download(client, silence.repository()), client, silence.fallen)
    assert isinstance(error, StoppedError), error
    assert seconds < SOON
    for thread in threading.enumerate():
        if thread.name.startswith("part-"):
            thread.join(SOON)
            assert not thread.is_alive()


@pytest.mark.parametrize("end", [{"down": 100_000}, {"up": 3_000_000}])
def test_a_copy_from_registry_to_registry(registry, silence, end):
    """Of the two threads one waits for the other, which waits for the network."""
    with running_registry() as other, Silence(other.host) as far:
        settings = ClientSettings.insecure(silence.host, far.host)
        (silence if "down" in end else far).fall(**end)
        with RegistryClient(settings) as client:
            error, seconds = stopped_while(
                lambda: client.copy_blob(silence.repository(), far.repository("team/copy"), BLOB),
                client,
                (silence if "down" in end else far).fallen,
            )
        assert isinstance(error, StoppedError), error
        assert seconds < SOON


@pytest.mark.parametrize("port", [deaf_port, mute_port], ids=["connecting", "TLS"])
def test_a_connection_that_does_not_come_about(port):
    with port() as host, RegistryClient() as client, ThreadPoolExecutor(1) as pool:
        assert_stopped_soon(client, pool.submit(client.tags, Repository(host, "team/app")))


def test_a_name_that_nobody_resolves(monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def slow(*_args, **_options):
        asked.set()
        answer.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with RegistryClient() as client:
        repository = Repository("registry.invalid", "team/app")
        error, seconds = stopped_while(lambda: client.tags(repository), client, asked)
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "look-up":
            thread.join()
    assert isinstance(error, StoppedError)
    assert seconds < SOON


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "60"}])
def test_a_pause_between_tries(headers):
    asked = threading.Event()
    with FaultyRegistry() as registry:
        registry.add(lambda _: asked.set(), faults.status(503, method="GET|POST", times=10**9, **headers))
        client = registry.client(retry=RetryPolicy(base=60, cap=60))
        with client:
            error, seconds = stopped_while(lambda: client.tags(registry.repository()), client, asked)
    assert seconds < SOON
    assert isinstance(error, OCIError)
    assert len(registry.seen) == 1


def test_nothing_begins_any_more():
    with FaultyRegistry() as registry, registry.client() as client:
        client.stop()
        for act in (*ACTS.values(), copy):
            with pytest.raises(StoppedError, match="it was stopped"):
                act(client, registry.repository())
        assert not registry.connections


def test_a_registry_that_listens_is_told_to_forget_the_upload():
    sent = threading.Event()
    with FaultyRegistry() as registry, registry.client() as client:
        registry.add(lambda exchange: sent.set() if exchange.command == "PATCH" else False)
        with client.start_upload(registry.repository()) as upload:
            for _ in range(4):
                upload.write(DATA[: 1 << 20])
            assert sent.wait(180)
            client.stop()
        assert registry.requests("DELETE", "/blobs/uploads/")
        assert not registry.store.uploads


def test_a_registry_that_does_not_listen_has_half_a_second_to_forget_all_uploads():
    sent = threading.Semaphore(0)
    silent = threading.Event()

    def deaf(exchange):
        if exchange.command == "DELETE":
            silent.wait(20)
        elif exchange.command == "PATCH":
            sent.release()
        return False

    with FaultyRegistry() as registry, registry.client() as client:
        registry.add(deaf)
        uploads = [client.start_upload(registry.repository()) for _ in range(3)]
        for each in uploads:
            for _ in range(4):
                each.write(DATA[: 1 << 20])
            assert sent.acquire(timeout=180)
        begun = time.monotonic()
        client.stop()
        for each in uploads:  # one after the other
            each.cancel()
        assert LAST_WORDS <= time.monotonic() - begun < SOON
        silent.set()


def test_what_fails_first_is_told_and_the_rest_is_not_waited_for(silence):
    """One layer cannot be had, another does not come: the copy ends with the error of the first."""
    image = make_image(b"gone" * 100, os.urandom(3_000_000))
    gone = image.blobs[1][0].digest
    with (
        FaultyRegistry() as source,
        RegistryClient(ClientSettings.insecure(source.host, silence.host)) as client,
    ):
        image.write(RegistryImages(client, source.repository()), "1")

        def refuse(exchange):
            if gone.encoded not in exchange.route:
                return False
            assert silence.fallen.wait(180)
            exchange.error(404, "BLOB_UNKNOWN")
            return True

        source.add(refuse)
        silence.fall(up=1_000_000)
        begun = time.monotonic()
        with pytest.raises(NotFoundError, match="no such blob"):
            copy_image(
                RegistryImages(client, source.repository()),
                "1",
                RegistryImages(client, silence.repository("team/half")),
                "1",
                on_failure=client.stop,
            )
        assert time.monotonic() - begun < SOON


def test_at_any_moment(registry, silence):
    """Many threads, stopped anywhere: each ends, soon, with what it wanted or an error of ours."""
    moments = random.Random(3)
    for _ in range(25):
        with silence.client() as client, ThreadPoolExecutor(8) as pool:
            acts = [download, upload, stream, resolve, check, copy, download, resolve]
            futures = [pool.submit(act, client, silence.repository()) for act in acts]
            time.sleep(moments.uniform(0, 0.3))  # a stop may come at any moment
            begun = time.monotonic()
            client.stop()
            errors = [future.exception(timeout=180) for future in futures]
            assert time.monotonic() - begun < SOON
        for error in errors:
            assert error is None or isinstance(error, OCIError), error
            assert not isinstance(error, DigestMismatchError | MirrorError)
