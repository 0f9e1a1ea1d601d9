"""A build whose executor has no credentials: the gateway beside it has them, and forwards what the build may do."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from strake_builder.solve.cache_mounts.kept import mount_tag
from tests.faults.registry import Exchange, FaultyRegistry
from tests.fixtures.servers.gateway import Connection, RunningGateway, running_gateway
from tests.integration.gateway.conftest import ACCOUNT, PASSWORD, Pod

DIGEST = f"sha256:{'0' * 64}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STEPS = """\
FROM {base} AS one
RUN echo one > /one
FROM {base}
COPY --from=one /one /copied
RUN cat /copied > /two
"""


def test_a_build_pulls_caches_and_pushes_without_a_credential_of_its_own(pod):
    steps = STEPS.replace("RUN cat", "RUN --mount=type=cache,target=/c touch /c/f; cat")
    pod.write(steps, cache={"repository": f"{pod.repository}/cache"})
    with running_gateway(pod.path, pod.directory) as gateway:
        first = pod.execute()
        assert first["outcome"] == "Succeeded", first
        assert pod.digest() == first["digest"]
        second = pod.execute()
        assert second["digest"] == first["digest"]
        assert second["steps"]["cached"] == 3
    log = gateway.log.read_text()
    assert f"PUT {pod.repository} manifests/1 201" in log
    assert f"PUT {pod.repository}/cache manifests/{mount_tag(b'/c' + bytes(1))} 201" in log
    assert PASSWORD not in log


def test_a_large_layer_goes_through_in_pieces(pod):
    pod.write("FROM {base}\nRUN head -c 60000000 /dev/urandom > /big\n")
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    pod.write(
        f"FROM {pod.repository}:1\nRUN wc -c /big | grep 60000000\n",
        output={"destinations": [f"{pod.repository}:2"]},
    )
    with running_gateway(pod.path, pod.directory):
        assert pod.execute()["outcome"] == "Succeeded"


def test_a_refusal_names_the_credential_that_the_gateway_tried(pod):
    pod.write(STEPS, secrets=())
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["outcome"] == "Failed"
    assert "authentication failed" in result["message"]
    assert f"no credentials for {pod.registry.host}" in result["message"]


ATTACKS = {
    "another tag": ("PUT", "{own}/manifests/latest", "does not push"),
    "another repository": ("PUT", "{host}/v2/team/base/manifests/1", "does not push to"),
    "an upload elsewhere": ("POST", "{host}/v2/team/base/blobs/uploads/", "does not push to"),
    "a delete": ("DELETE", "{own}/manifests/" + DIGEST, "has no use for DELETE"),
    "a delete of a blob": ("DELETE", "{own}/blobs/" + DIGEST, "has no use for DELETE"),
    "a path that climbs": (
        "PUT",
        "{own}/blobs/uploads/../../../base/manifests/1",
        "name that no registry has",
    ),
    "a path that climbs, encoded": (
        "PUT",
        "{own}/manifests/..%2f..%2fbase%2fmanifests%2f1",
        "no registry has",
    ),
    "the catalog": ("GET", "{host}/v2/_catalog", "none of the distribution API"),
    "a token": ("GET", "{host}/token", "none of the distribution API"),
    "a URL": ("GET", "http://{bare}/v2/team/base/manifests/1", "none of the distribution API"),
    "an upload of another's": ("PATCH", "{own}/blobs/uploads/aHR0cDovL2xvY2FsaG9zdA.00", "no such upload"),
}


@pytest.mark.parametrize(("method", "path", "words"), ATTACKS.values(), ids=ATTACKS)
def test_what_a_step_could_ask_for_and_does_not_get(pod, method, path, words):
    pod.write(STEPS)
    host = f"/{pod.registry.host}"
    own = f"{host}/v2/{pod.repository.partition('/')[2]}"
    target = path.format(own=own, host=host, bare=pod.registry.host)
    with running_gateway(pod.path, pod.directory) as gateway:
        before = len(pod.registry.requests())
        status, body, _ = gateway.ask(method, target, b"{}", Content_Type=MANIFEST)
        assert status >= 400
        assert words in body.decode()
        assert len(pod.registry.requests()) == before, "it reached the registry"


def test_a_mount_takes_nothing_that_the_build_did_not_read(pod):
    """The push credential may read more than the build: a mount would copy it into the build's image."""
    with pod.registry.client(credentials=ACCOUNT) as client:
        _, data = client.manifest(pod.registry.repository("team/base"), "1")
    layer = json.loads(data)["layers"][0]["digest"]
    pod.write(STEPS)
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    with running_gateway(pod.path, pod.directory) as gateway:
        mount = f"{own}/blobs/uploads/?mount={layer}&from=team/base"
        assert gateway.ask("POST", mount, b"")[0] == 202
        status, _, _ = gateway.ask("GET", f"/{pod.registry.host}/v2/team/base/manifests/1", Accept=MANIFEST)
        assert status == 200
        assert gateway.ask("POST", mount, b"")[0] == 201


@pytest.fixture
def registry():
    """A registry that records whole request lines, and takes the last of several values of a field."""
    with FaultyRegistry() as running:
        yield running


def queries_of(registry, method: str) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(each.path).query) for each in registry.seen if each.command == method]


def test_a_field_that_comes_twice_is_not_the_one_that_was_checked(pod, registry):
    """Of two values of `from` a gateway may check the first, and a registry take the second."""
    repository = f"{registry.host}/team/app"
    hosts = {registry.host: {"insecure": True}}
    gateway = str(pod.directory / "gateway.socket")
    pod.write(
        STEPS, output={"destinations": [f"{repository}:1"]}, registries={"gateway": gateway, "hosts": hosts}
    )
    own = f"/{registry.host}/v2/team/app"
    with running_gateway(pod.path, pod.directory) as running:
        running.ask("POST", f"{own}/blobs/uploads/?mount={DIGEST}&from=team/app&from=private/secret&x=y", b"")
        _, _, headers = running.ask("POST", f"{own}/blobs/uploads/", b"")
        more = f"?digest={DIGEST}&_state=forged&digest=sha256:{'1' * 64}"
        running.ask("PUT", headers["Location"] + more, b"content")
    mount, begun = queries_of(registry, "POST")
    assert mount == {"mount": [DIGEST], "from": ["team/app"]}
    assert begun == {}
    (finished,) = queries_of(registry, "PUT")
    assert finished["digest"] == [DIGEST]
    assert "forged" not in str(finished)


def test_an_upload_session_is_the_gateways_own_word(pod):
    pod.write(STEPS)
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    with running_gateway(pod.path, pod.directory) as gateway:
        _, _, headers = gateway.ask("POST", f"{own}/blobs/uploads/", b"")
        location = headers["Location"]
        assert location.startswith(f"{own}/blobs/uploads/")
        assert gateway.ask("PATCH", location, b"content")[0] == 202
        other = location.replace(own, f"/{pod.registry.host}/v2/team/base")
        assert gateway.ask("PATCH", other, b"content")[0] == 403
        assert gateway.ask("PATCH", location[:-1] + "x", b"content")[0] == 404


RAW = {
    "no size": b"PATCH /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative size": b"PATCH /x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    "a size of no end": b"PATCH /x HTTP/1.1\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n",
    "a line of no end": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    "headers without end": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000,
    "a proxy": b"CONNECT localhost:1 HTTP/1.1\r\n\r\n",
    "noise": bytes(range(256)) * 50,
    "a tunnel": b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_noise_ends_its_own_connection_alone(pod, raw):
    pod.write(STEPS)
    with running_gateway(pod.path, pod.directory) as gateway:
        noisy = Connection(gateway.socket)
        noisy.connect()
        noisy.sock.sendall(raw)
        answered(gateway, pod)
        noisy.close()
        answered(gateway, pod)
        assert gateway.process.poll() is None


FRAMES = {
    "two lengths": b"Content-Length: 3\r\nContent-Length: 40\r\n",
    "a length of chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "two encodings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_body_that_can_be_read_in_two_ways_is_refused(pod, registry, frame):
    gateway = str(pod.directory / "gateway.socket")
    hosts = {registry.host: {"insecure": True}}
    pod.write(
        STEPS,
        output={"destinations": [f"{registry.host}/team/app:1"]},
        registries={"gateway": gateway, "hosts": hosts},
    )
    with running_gateway(pod.path, pod.directory) as running:
        connection = Connection(running.socket)
        connection.connect()
        head = f"POST /{registry.host}/v2/team/app/blobs/uploads/ HTTP/1.1\r\n".encode()
        connection.sock.sendall(head + frame + b"\r\n0\r\n\r\n")
        assert connection.sock.recv(100).startswith(b"HTTP/1.1 400 ")
        connection.close()
    assert registry.seen == []


@pytest.mark.parametrize("path", ["manifests/1", f"blobs/{DIGEST}"])
def test_a_registry_cannot_answer_for_the_next_request(pod, registry, path):
    """What frames an answer in two ways is one answer: the rest of it is not taken for another registry's."""
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    body = b"short" + forged
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    def answer(exchange: Exchange) -> bool:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        exchange.wfile.write(head + chunks)
        return True

    registry.add(answer)
    gateway = str(pod.directory / "gateway.socket")
    clear = {"insecure": True}
    hosts = {registry.host: clear, pod.registry.host: clear}
    pod.write(
        STEPS,
        output={"destinations": [f"{registry.host}/team/app:1"]},
        registries={"gateway": gateway, "hosts": hosts, "pullConfig": str(pod.directory / "config.json")},
    )
    with running_gateway(pod.path, pod.directory) as running:
        connection = Connection(running.socket)
        with contextlib.closing(connection):
            connection.request("GET", f"/{registry.host}/v2/team/app/{path}")
            assert connection.getresponse().read() == body
            connection.request(
                "GET", f"/{pod.registry.host}/v2/team/base/manifests/1", headers={"Accept": MANIFEST}
            )
            answered = connection.getresponse()
            body = answered.read()
            assert (answered.status, b"forged" in body) == (200, False)


def answered(gateway: RunningGateway, pod: Pod) -> None:
    """See that the gateway serves others."""
    path = f"/{pod.registry.host}/v2/team/base/manifests/1"
    assert gateway.ask("GET", path, Accept=MANIFEST)[0] == 200


def test_a_registry_that_the_gateway_cannot_reach_is_worth_another_attempt(pod):
    pod.write("FROM {base}\nRUN true\n", output={"destinations": ["127.0.0.1:9/team/app:1"]})
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert (result["reason"], result["temporary"]) == ("PushFailed", True)


def test_a_refusal_by_the_gateway_is_not(pod):
    pod.write(STEPS, secrets=())
    with running_gateway(pod.path, pod.directory):
        assert pod.execute()["temporary"] is False
