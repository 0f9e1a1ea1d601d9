"""SOURCE_DATE_EPOCH by the name of what has a time, or as a default of the Dockerfile: the image has that time."""

from __future__ import annotations

import http.server
import io
import json
import subprocess
import tarfile
import threading
from datetime import UTC, datetime

import pytest

from strake_oci.spec.manifest import Index, parse
from strake_oci.spec.platform import host
from strake_oci.spec.reference import Reference
from tests.conformance.flatten import flatten
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.git_repository import repository
from tests.fixtures.narrow import instance

__all__ = ["repository"]

SHOWN = "FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL at=$SOURCE_DATE_EPOCH\nCOPY file /\n"
SERVED = 1_000_000_000
"""What the server says of what it is asked for."""
PACKED = 1_100_000_000
"""Of the latest file in the archive."""


def archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, seconds in (("old", 500), ("new", PACKED)):
            member = tarfile.TarInfo(name)
            member.mtime = seconds
            tar.addfile(member)
    return packed.getvalue()


ARCHIVE = archive()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves an archive; its time only where the path says so."""

    def do_GET(self) -> None:
        content = b"no archive" if self.path.endswith(".txt") else ARCHIVE
        self.server.asked.append(self.path)  # type: ignore[attr-defined]  # of this module's server
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if self.path.startswith("/dated"):
            self.send_header("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Web:
    """A server, and what it was asked for."""

    def __init__(self, server: http.server.HTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.asked: list[str] = server.asked  # type: ignore[attr-defined]  # of this module's server


@pytest.fixture
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]  # of this module's server
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Web(server)
        server.shutdown()
        thread.join()


def stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dated(builder: Builder, seconds: int) -> bool:
    """Say whether the image, its history and its argument have the time."""
    config = builder.built().config
    times = {config.created, *(each.created for each in config.history)}
    return times == {stamp(seconds)} and config.config.labels["at"] == str(seconds)


def materials(builder: Builder) -> list[dict[str, str]]:
    words = [str(STRAKE), "attestations", builder.destination, "--insecure", "--print", "provenance"]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=180, check=True).stdout
    found: list[dict[str, str]] = json.loads(shown)["predicate"]["buildDefinition"]["resolvedDependencies"]
    return found


def test_a_default_in_the_dockerfile(builder):
    builder.context(f"ARG SOURCE_DATE_EPOCH=1234\n{SHOWN}", file="x")
    assert builder.run().returncode == 0
    assert dated(builder, 1234)
    assert builder.run("--source-date-epoch", "99").returncode == 0
    assert dated(builder, 99)
    assert builder.run("--build-arg", "SOURCE_DATE_EPOCH=").returncode == 0
    config = builder.built().config
    assert config.created not in {stamp(1234), stamp(0)}
    assert config.config.labels["at"] == ""


@pytest.mark.parametrize(
    ("path", "seconds"), [("/dated/a.tgz", SERVED), ("/a.tgz", PACKED), ("/dated/a.txt", SERVED)]
)
def test_a_stage_that_fetches_one_file(builder, web, path, seconds):
    stage = f"FROM scratch AS src\nADD {web.url}{path} /\n"
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{stage}{SHOWN}COPY --from=src / /src/\n", file="x")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert dated(builder, seconds)
    assert web.asked == [path]


def test_a_stage_that_nothing_needs_tells_the_time_all_the_same(builder, web):
    builder.context(f"FROM scratch AS src\nADD {web.url}/dated/a.tgz /\n{SHOWN}", file="x")
    done = builder.run(SOURCE_DATE_EPOCH="src")
    assert done.returncode == 0, done.stderr
    assert dated(builder, SERVED)


def test_a_stage_that_fetches_a_repository(builder, repository):
    repository.commit(readme="later\n")
    when = int(repository.git("log", "-1", "--format=%ct"))
    stage = f"FROM scratch AS src\nADD {repository.url}#main:sub /sub/\n"
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{stage}{SHOWN}COPY --from=src /sub /sub/\n", file="x")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert dated(builder, when)


def test_a_commit_that_is_not_the_one_that_the_stage_names(builder, repository):
    stage = f"FROM scratch AS src\nADD --checksum={'0' * 40} {repository.url}#main /\n"
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{stage}{SHOWN}", file="x")
    done = builder.run()
    assert done.returncode == 4, done.stderr
    assert "the ref moved" in done.stderr


def test_named_contexts(builder, repository, web, tmp_path):
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{SHOWN}", file="x")
    when = int(repository.git("log", "-1", "--format=%ct"))
    given = [
        (f"{repository.url}#main", when),
        (f"{web.url}/dated/a.tgz", SERVED),
        (f"{web.url}/a.tgz", PACKED),
    ]
    for source, seconds in given:
        done = builder.run("--build-context", f"src={source}")
        assert done.returncode == 0, done.stderr
        assert dated(builder, seconds), source
        assert "is used by no stage" not in done.stderr
    (tmp_path / "here").mkdir()
    for source in (str(tmp_path / "here"), f"docker-image://{builder.names['TINY']}", f"{web.url}/a.txt"):
        done = builder.run("--build-context", f"src={source}")
        assert done.returncode == 0, done.stderr
        assert "SOURCE_DATE_EPOCH=src: this named context has no time of its own" in done.stderr
        assert builder.built().config.config.labels["at"] == ""


def test_what_has_no_time_is_1970_if_the_image_is_to_be_reproducible(builder, web):
    builder.context(
        f"ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\nADD {web.url}/a.txt /\n{SHOWN}", file="x"
    )
    done = builder.run("--reproducible")
    assert done.returncode == 0, done.stderr
    assert "SOURCE_DATE_EPOCH=src: what the stage fetches has no time" in done.stderr
    assert builder.built().config.created == stamp(0)


@pytest.mark.parametrize(
    ("dockerfile", "status", "words"),
    [
        (f"ARG SOURCE_DATE_EPOCH=gone\n{SHOWN}", 3, "Dockerfile:1"),
        (f"ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\nCOPY file /\n{SHOWN}", 3, "Dockerfile:3"),
        (f"ARG SOURCE_DATE_EPOCH=-4\n{SHOWN}", 3, "whole number of seconds since 1970"),
    ],
)
def test_what_is_refused_before_anything_is_fetched(builder, dockerfile, status, words):
    builder.context(dockerfile, file="x")
    done = builder.run()
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert builder.tags() == []


def test_an_argument_that_names_nothing(builder):
    builder.context(SHOWN, file="x")
    done = builder.run(SOURCE_DATE_EPOCH="yesterday")
    assert done.returncode == 2, done.stderr
    assert "the build argument SOURCE_DATE_EPOCH is 'yesterday'" in done.stderr


def test_each_platform_has_the_time_of_what_it_fetches(builder, web):
    here, other = ("amd64", "arm64") if host().architecture == "amd64" else ("arm64", "amd64")
    head = "ARG TARGETARCH\nARG SOURCE_DATE_EPOCH=$TARGETARCH\n"
    stages = f"FROM scratch AS {here}\nADD {web.url}/dated/a.tgz /\nFROM scratch AS {other}\nADD {web.url}/a.tgz /\n"
    builder.context(head + stages + SHOWN, file="x")
    done = builder.run(f"--platform=linux/{here},linux/{other}")
    assert done.returncode == 0, done.stderr
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        index = instance(parse(client.manifest(reference.repository, reference.tag)[1]), Index)
        made = [flatten(client, reference.repository, str(each.digest)).config for each in index.manifests]
    assert [each.created for each in made] == [stamp(SERVED), stamp(PACKED)]


def test_a_request_of_the_operator(base_registry, builder, web, tmp_path):
    request = {
        "source": {"inline": {"files": {"Dockerfile": SHOWN, "file": "x"}}},
        "contexts": [{"name": "src", "source": {"http": {"url": f"{web.url}/a.tgz", "unpacked": False}}}],
        "args": [{"name": "SOURCE_DATE_EPOCH", "value": "src"}],
        "output": {"destinations": [builder.destination]},
        "registries": {"hosts": {base_registry.host: {"insecure": True}}},
        "workDirectory": str(tmp_path / "work"),
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
    done = run_strake([STRAKE, *words])
    assert done.returncode == 0, done.stderr
    assert dated(builder, PACKED)


def test_what_tells_the_time_is_a_material_though_nothing_is_made_of_it(builder, web):
    stage = f"FROM scratch AS src\nADD {web.url}/a.tgz /\n"
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{stage}{SHOWN}", file="x")
    done = builder.run("--provenance=min")
    assert done.returncode == 0, done.stderr
    assert [each["uri"] for each in materials(builder)] == [f"{web.url}/a.tgz"]


def test_a_rebuild_by_provenance_has_the_same_time(builder, web, tmp_path):
    builder.context(f"ARG SOURCE_DATE_EPOCH=src\n{SHOWN}", file="x")
    done = builder.run("--provenance=max", "--build-context", f"src={web.url}/a.tgz")
    assert done.returncode == 0, done.stderr
    assert [each["uri"] for each in materials(builder)] == [f"{web.url}/a.tgz"]
    flags = ["--context", str(builder.directory / "context"), "--insecure-registry", builder.registry.host]
    again = [str(STRAKE), "rebuild", builder.destination, *flags, "--work-dir", str(tmp_path / "work")]
    done = run_strake(again, builder.environment())
    assert done.returncode == 0, done.stderr
