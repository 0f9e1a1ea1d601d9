"""Builds and copies that fail or are stopped while a registry is silent: they end at once, with the first error."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strake_builder.solve.clients import KEEPING
from strake_oci.errors import NotFoundError
from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import Cached
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.silence import Silence
from tests.images.push import push_image

STRAKE = Path(sys.executable).parent / "strake"
SOON = 10.0
"""Seconds from the cause to the end of the process, on a machine that is busy: one is enough. The limits of time
that would end it otherwise begin at 60."""

LARGE = os.urandom(12 << 20)


@pytest.fixture
def silence(base_registry):
    with Silence(base_registry.host) as proxy:
        yield proxy


@pytest.fixture
def quiet(silence, builder):
    """A builder that pushes through the proxy and pulls past it."""
    made = Builder(silence, builder.directory, builder.name)
    made.context("")
    (builder.directory / "context/large").write_bytes(LARGE)
    yield made
    assert made.left_behind() == []


class Gate:
    """Where a step waits for the test: it connects, and goes on when the connection is closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.step = f"nc 127.0.0.1 {self._listener.getsockname()[1]} </dev/null"

    def opened(self) -> float:
        """Wait for a step, let it go on, and return when that was."""
        self._listener.settimeout(180)
        connection, _ = self._listener.accept()
        connection.close()
        return time.monotonic()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def gate():
    with contextlib.closing(Gate()) as made:
        yield made


def tiny(registry) -> str:
    return f"{registry.host}/library/busybox:1"


def dockerfile(builder: Builder, base: str, *steps: str) -> None:
    text = "\n".join(steps).replace("BASE", base)
    (builder.directory / "context/Dockerfile").write_text(text)


class TestBuild:
    @pytest.mark.parametrize("cache", [(), ("--cache-dir", "cache")], ids=["no cache", "a directory"])
    def test_a_step_fails_while_a_layer_is_on_its_way(self, base_registry, silence, quiet, gate, cache):
        cache = [str(quiet.directory / word) if word == "cache" else word for word in cache]
        base = tiny(base_registry)
        dockerfile(quiet, base, "FROM BASE", "COPY large /", f"RUN {gate.step}; exit 9")
        silence.fall(up=1 << 20)
        process = quiet.start("--insecure-registry", base_registry.host, *cache)
        assert silence.fallen.wait(180)
        begun = gate.opened()
        _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert process.returncode == 7
        assert "exit code 9" in log
        assert "Dockerfile:3" in log
        assert silence.host not in log.partition("error: ")[2], "the broken connection is not to blame"
        assert not base_registry_tags(base_registry, quiet)
        if cache:
            silence.speak()
            dockerfile(quiet, base, "FROM BASE", "COPY large /", "RUN true")
            again = Cached(quiet, ["--insecure-registry", base_registry.host, *cache]).build()
            assert again.cached == ["COPY large /"]

    def test_a_step_fails_while_a_cache_does_not_answer(self, base_registry, silence, builder, gate):
        """The results of the steps before it may be worth a moment; not more."""
        builder.context(f"FROM TINY\nCOPY large /\nRUN {gate.step}; exit 9")
        (builder.directory / "context/large").write_bytes(LARGE)
        flags = ("--insecure-registry", silence.host, "--cache-repo", f"{silence.host}/{builder.name}/cache")
        process = builder.start(*flags)
        silence.fall(up=1 << 20)
        assert silence.fallen.wait(180)
        begun = gate.opened()
        _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < KEEPING + SOON
        assert process.returncode == 7
        assert "warning" not in log

    def test_a_step_fails_while_another_stage_waits_for_its_base(self, base_registry, silence, quiet, gate):
        push_image("base", f"{silence.host}/library/debian:12")
        dockerfile(
            quiet,
            tiny(base_registry),
            f"FROM {silence.host}/library/debian:12 AS slow",
            "RUN true",
            "FROM BASE",
            f"RUN {gate.step}; exit 9",
            "COPY --from=slow /etc/passwd /",
        )
        silence.fall(down=1 << 20)
        process = quiet.start("--insecure-registry", base_registry.host)
        assert silence.fallen.wait(180)
        begun = gate.opened()
        _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert process.returncode == 7, log
        assert "exit code 9" in log

    @pytest.mark.parametrize("phase", ["in a step", "in the push"])
    def test_a_signal_comes_while_a_layer_is_on_its_way(self, base_registry, silence, quiet, gate, phase):
        more = [f"RUN {gate.step}"] if phase == "in a step" else []
        dockerfile(quiet, tiny(base_registry), "FROM BASE", "COPY large /", *more)
        silence.fall(up=1 << 20)
        process = quiet.start("--insecure-registry", base_registry.host)
        assert silence.fallen.wait(180)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert process.returncode == 143
        assert "stopped by SIGTERM" in log

    def test_the_timeout_passes_while_a_registry_is_silent(self, base_registry, silence, quiet):
        dockerfile(quiet, tiny(base_registry), "FROM BASE", "COPY large /")
        silence.fall(up=1 << 20)
        begun = time.monotonic()
        done = quiet.run("--insecure-registry", base_registry.host, "--timeout", "5")
        assert 5 <= time.monotonic() - begun < 5 + SOON
        assert done.returncode == 10, done.stderr
        assert "within 5 s" in done.stderr


def base_registry_tags(registry, builder: Builder) -> list[str]:
    with registry.client() as client, contextlib.suppress(NotFoundError):
        return list(client.tags(registry.repository(builder.name)))
    return []


class TestCopy:
    @pytest.fixture
    def image(self, base_registry):
        image = make_image(b"small", LARGE)
        with base_registry.client() as client:
            image.write(RegistryImages(client, base_registry.repository("stopping/app")), "1")
        return image

    @pytest.mark.parametrize("way", [{"down": 1 << 20}, {"up": 1 << 20}], ids=["source", "destination"])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.usefixtures("image")
    def test_a_signal_comes(self, base_registry, silence, tmp_path, way, number):
        host = base_registry.host
        if "down" in way:
            words = [f"{silence.host}/stopping/app:1", f"oci:{tmp_path}/layout:1"]
        else:
            words = [f"{host}/stopping/app:1", f"{silence.host}/stopping/copy-{number}:1"]
        silence.fall(**way)
        process = subprocess.Popen(
            [STRAKE, "copy", "--insecure", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert silence.fallen.wait(180)
        begun = time.monotonic()
        process.send_signal(number)
        out, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert (process.returncode, out) == (143, "")
        assert f"error: stopped by {signal.Signals(number).name}" in log
        with base_registry.client() as client, pytest.raises(NotFoundError):
            client.resolve(base_registry.repository(f"stopping/copy-{number}").tag("1"))
        assert not list((tmp_path / "layout").rglob(".upload-*"))


class TestSources:
    """What is fetched from servers that are no registries: contexts, and what ADD names."""

    @pytest.fixture
    def mute(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(180)
            yield listener

    @staticmethod
    def await_reader(mute) -> contextlib.AbstractContextManager:
        """Wait until somebody wants something."""
        return contextlib.closing(mute.accept()[0])

    @staticmethod
    def processes(mute) -> list[str]:
        """Programs that still want something."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return [line for line in found if line.startswith("git") and f":{mute.getsockname()[1]}/" in line]

    @pytest.mark.parametrize("what", ["a context", "ADD of a URL", "ADD of git"])
    def test_a_signal_comes(self, builder, mute, what):
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/app"
        flags = ("--context", f"git+{url}.git") if what == "a context" else ()
        builder.context(f"FROM TINY\nADD {url}{'.git#main' if what == 'ADD of git' else ''} /f")
        process = builder.start(*flags)
        with self.await_reader(mute):
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert process.returncode == 143, log
        assert "stopped by SIGTERM" in log
        assert not self.processes(mute)
        assert builder.left_behind() == []

    @pytest.mark.parametrize("cache", [(), ("--cache-dir", "cache")], ids=["no cache", "a directory"])
    @pytest.mark.parametrize("what", ["URL", "git"])
    def test_a_step_of_another_stage_fails(self, builder, mute, gate, what, cache):
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/app{'.git#main' if what == 'git' else ''}"
        checksum = f"--checksum={'0' * 40}" if what == "git" else f"--checksum=sha256:{'0' * 64}"
        builder.context(
            f"FROM TINY AS slow\nADD {checksum} {url} /f\nFROM TINY\nRUN {gate.step}; exit 9\nCOPY --from=slow /f /"
        )
        process = builder.start(
            *(str(builder.directory / word) if word == "cache" else word for word in cache)
        )
        with self.await_reader(mute):
            begun = gate.opened()
            _, log = process.communicate(timeout=180)
        assert time.monotonic() - begun < SOON
        assert process.returncode == 7, log
        assert "exit code 9" in log
        assert not self.processes(mute)
