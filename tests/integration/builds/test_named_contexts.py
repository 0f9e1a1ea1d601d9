"""--build-context: what stands in for stages and images, from every kind of place."""

from __future__ import annotations

import http.server
import subprocess
import threading

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.content.git_repository import repository

__all__ = ["repository"]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"file\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_repositories_files_images_and_layouts(builder, repository, web, tmp_path):
    layout = tmp_path / "layout"
    subprocess.run(
        [
            STRAKE,
            "copy",
            builder.names["TINY"],
            f"oci:{layout}:v1",
            "--insecure-registry",
            builder.registry.host,
        ],
        check=True,
        capture_output=True,
    )
    builder.context(
        "FROM never.example/one AS app\nRUN exit 1\n"
        "FROM alpine:latest\nCOPY --from=app sub /sub\nCOPY --from=app . /all/\nCOPY --from=web / /web/\n"
        "COPY --from=img:1 /etc/passwd /copied\nRUN --mount=from=app,target=/m cat /m/readme > /ran\n"
    )
    done = builder.run(
        *("--build-context", f"app={repository.url}#main", "--build-context", f"web={web}/x.tgz"),
        *("--build-context", f"docker.io/library/alpine=oci-layout://{layout}:v1"),
        *("--build-context", f"img:1=docker-image://{builder.names['TINY']}"),
        *("--build-context", f"spare={web}/y"),
    )
    assert done.returncode == 0, done.stderr
    built = builder.built()
    assert built.paths["/sub/file"]["size"] == len("from git\n")
    assert built.paths["/all/run.sh"]["mode"] == "0755"
    assert not any(path.endswith("/.git") for path in built.paths)
    assert (built.paths["/web/context"]["size"], built.paths["/web/context"]["mode"]) == (5, "0600")
    assert built.paths["/ran"]["size"] == len("first\n")
    assert built.paths["/copied"]["sha256"] == built.paths["/etc/passwd"]["sha256"]
    assert built.config.config.cmd == ("sh",)
    assert "the named context spare is used by no stage" in done.stderr


def test_a_changed_context_is_no_cache_hit(builder, tmp_path):
    lib, cache = tmp_path / "lib", tmp_path / "cache"
    lib.mkdir()
    (lib / "f").write_text("1\n")
    builder.context("FROM TINY\nCOPY --from=lib f /f\nFROM lib AS base\nFROM base\nCOPY --from=0 /f /g\n")
    flags = ("--build-context", f"lib={lib}", "--cache-dir", str(cache))
    sizes = []
    for content in ("1\n", "1\n", "22\n"):
        (lib / "f").write_text(content)
        done = builder.run(*flags)
        assert done.returncode == 0, done.stderr
        paths = builder.built().paths
        sizes.append((paths["/f"]["size"], paths["/g"]["size"], done.stderr.count("CACHED")))
    assert [each[:2] for each in sizes] == [(2, 2), (2, 2), (3, 3)]
    assert sizes[1][2] > sizes[0][2] == sizes[2][2]


@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        ("oci-layout:///nowhere:v1", 5, "cannot use the image oci-layout:///nowhere:v1"),
        ("git://127.0.0.1:1/app.git", 4, "the named context lib: git fetch"),
        ("https://127.0.0.1:1/x", 4, "the named context lib: "),
        ("target:other", 2, "a target is another image of a bake file"),
    ],
)
def test_what_cannot_be_had_is_named(builder, value, status, words):
    builder.context("FROM lib\n")
    done = builder.run("--build-context", f"lib={value}")
    assert done.returncode == status, done.stderr
    assert words in done.stderr
