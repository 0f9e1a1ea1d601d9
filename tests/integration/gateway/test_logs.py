"""The log of a builder pod, which its gateway keeps in a registry: whole, bounded, and never worth a build."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from strake_api.logs.artifact import ARTIFACT_TYPE, LAYER_TYPE, LogReport, parse_log_report
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.narrow import present
from tests.fixtures.servers.gateway import RunningGateway, running_gateway
from tests.integration.gateway.conftest import ACCOUNT, PASSWORD, Pod

SECONDS = 180


@dataclass
class LoggedPod:
    """A builder pod whose log is kept.

    Attributes:
        pod: The rest of it.
    """

    pod: Pod

    @property
    def repository(self) -> str:
        return f"{self.pod.repository}/logs"

    @property
    def socket(self) -> Path:
        return self.pod.directory / "log.socket"

    @property
    def report(self) -> Path:
        return self.pod.directory / "report.json"

    def write(
        self,
        dockerfile: str,
        repository: str | None = None,
        secrets: tuple[str, ...] = ("push", "pull"),
        **fields: str,
    ) -> None:
        log = {
            "repository": repository or self.repository,
            "tag": "app-4f1c2a-3",
            "namespace": "team",
            "build": "app",
            "run": 3,
            "attempt": 1,
            **fields,
        }
        self.pod.write(dockerfile, secrets, log=log)

    @contextlib.contextmanager
    def gateway(self) -> Iterator[RunningGateway]:
        flags = [f"--log-socket={self.socket}", f"--log-report={self.report}"]
        with running_gateway(self.pod.path, self.pod.directory, flags=flags) as running:
            yield running

    def executor(self) -> subprocess.Popen[str]:
        words: list[str | Path] = [
            STRAKE, "execute", "--request", self.pod.path, "--log-format=pod", f"--log-copy={self.socket}",
            "--result", self.pod.directory / "result.json",
        ]  # fmt: skip
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def execute(self) -> str:
        """Build; return what the executor wrote."""
        process = self.executor()
        written, _ = process.communicate(timeout=SECONDS)
        return written

    def result(self) -> dict:
        return json.loads((self.pod.directory / "result.json").read_text())

    def reported(self) -> LogReport:
        return present(parse_log_report(self.report.read_text()))

    def logs(self, reference: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """Print a log, as a person does."""
        environment = {**os.environ, "DOCKER_CONFIG": str(self.pod.directory)}
        words: list[str | Path] = [STRAKE, "logs", "--insecure", reference, *flags]
        return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, env=environment)

    def kept(self) -> str:
        """Return the log that was reported, printed."""
        done = self.logs(f"{self.repository}@{self.reported().digest}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, content: bytes, artifact_type: str = ARTIFACT_TYPE, layer_type: str = LAYER_TYPE) -> str:
        """Push an artifact as somebody who may push there; return its reference."""
        layer = Descriptor.of(layer_type, content)
        manifest = make_artifact(artifact_type, (layer,)).serialize()
        reference = Reference.parse(f"{self.repository}:forged")
        with self.pod.registry.client(credentials=ACCOUNT) as client:
            for blob, data in ((EMPTY, EMPTY_CONTENT), (layer, content)):
                client.push_blob(reference.repository, blob, partial(io.BytesIO, data))
            client.push_manifest(reference, manifest, mediatype.OCI_MANIFEST)
        return str(reference)


@pytest.fixture
def logged(pod):
    made = LoggedPod(pod)
    made.write("FROM {base}\n")
    return made


def test_a_log_is_kept_as_it_was_written(logged):
    logged.write("FROM {base}\nRUN echo one && echo two >&2\nRUN printf 'a\\033]0;title\\007b\\n'\n")
    with logged.gateway():
        written = logged.execute()
    assert logged.result()["outcome"] == "Succeeded"
    assert logged.kept() == written
    assert "#1 | one" in written
    assert "#2 | ab\n" in written
    assert "\x1b" not in written
    with logged.pod.registry.client(credentials=ACCOUNT) as client:
        reference = Reference.parse(f"{logged.repository}:app-4f1c2a-3")
        found = client.resolve(reference)
        manifest = parse(client.manifest(reference.repository, found.digest)[1], found.media_type)
    assert isinstance(manifest, Manifest)
    assert str(found.digest) == logged.reported().digest
    assert manifest.artifact_type == ARTIFACT_TYPE
    assert [each.media_type for each in manifest.layers] == [LAYER_TYPE]
    names = ("namespace", "build", "run", "attempt")
    assert [manifest.annotations[f"dev.strake.log.{each}"] for each in names] == ["team", "app", "3", "1"]
    assert manifest.annotations["dev.strake.log.started"] <= manifest.annotations["dev.strake.log.ended"]


def test_a_failure_is_in_the_log_too(logged):
    logged.write("FROM {base}\nRUN echo before && exit 3\n")
    with logged.gateway():
        written = logged.execute()
    assert logged.kept() == written
    assert "ended with exit code 3" in written


def test_of_a_builder_that_is_killed_all_is_kept_that_it_wrote(logged):
    logged.write("FROM {base}\nRUN echo going && sleep 100\n")
    with logged.gateway():
        process = logged.executor()
        lines = []
        for line in present(process.stdout):
            lines.append(line)
            if "| going" in line:
                break
        process.kill()
        process.communicate(timeout=SECONDS)
    assert logged.kept().startswith("".join(lines))


@pytest.mark.parametrize("where", ["refused", "nowhere"])
def test_a_log_that_cannot_be_pushed_fails_no_build(logged, where):
    repository = {"refused": f"{logged.pod.registry.host}/Team", "nowhere": "127.0.0.1:9/logs/team"}[where]
    logged.write("FROM {base}\nRUN echo one\n", repository)
    with logged.gateway():
        logged.execute()
        assert logged.result()["outcome"] == "Succeeded"
    assert logged.reported().digest is None
    assert repository in logged.reported().problem
    assert PASSWORD not in logged.report.read_text()


def test_a_log_has_credentials_of_its_own_or_none(logged, tmp_path):
    """The build's own would open the repository; a policy's logSecret counts in their place."""
    logged.write("FROM {base}\n", credentials=str(tmp_path / "not-there"))
    with logged.gateway():
        logged.execute()
        assert logged.result()["outcome"] == "Succeeded"
    assert "the BuildPolicy's logSecret does not exist in this namespace" in logged.reported().problem
    assert PASSWORD not in logged.report.read_text()


def test_the_secret_of_the_log_pushes_the_log_and_opens_nothing_for_the_build(logged):
    logged.write("FROM {base}\n", secrets=(), credentials=str(logged.pod.directory / "config.json"))
    with logged.gateway():
        written = logged.execute()
        assert logged.result()["reason"] == "BaseImagePullFailed", logged.result()
    assert logged.kept() == written
    assert PASSWORD not in written


def test_a_pod_that_ends_before_its_builder_began_does_not_wait(logged):
    logged.write("FROM {base}\n")
    with logged.gateway() as gateway:
        os.kill(gateway.process.pid, signal.SIGTERM)
        began = time.monotonic()
        gateway.process.wait(SECONDS)
    assert time.monotonic() - began < 5
    assert "no log came" in logged.reported().problem


def test_a_gateway_that_is_killed_reports_that_there_is_no_log(logged):
    logged.write("FROM {base}\nRUN echo going && sleep 100\n")
    with logged.gateway() as gateway:
        process = logged.executor()
        assert any("| going" in line for line in present(process.stdout))
        gateway.process.kill()
        gateway.process.wait(SECONDS)
        process.kill()
        process.communicate(timeout=SECONDS)
    assert logged.reported().problem == "the pod ended before its log was pushed"


def connected(logged) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(SECONDS)
    try:
        found.connect(str(logged.socket))
    except OSError:
        found.close()
        raise
    return found


def test_a_gibibyte_of_output_takes_no_more_memory_and_its_ends_are_kept(logged):
    logged.write("FROM {base}\n")
    piece = b"#1 | 0123456789abcdef\n" * 50_000
    with logged.gateway() as gateway:
        with connected(logged) as builder:
            builder.sendall(b"== the beginning\n")
            for _ in range((1 << 30) // len(piece) + 1):
                builder.sendall(piece)
            builder.sendall(b"== the end\n")
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < 160 << 10, f"{peak} KiB, of the 256 MiB that the gateway may have"
    lines = logged.kept().splitlines()
    assert (lines[0], lines[-1]) == ("== the beginning", "== the end")
    assert len([line for line in lines if "bytes of this log are left out here" in line]) == 1
    assert set(lines[1:-1]) - {"#1 | 0123456789abcdef"} == {line for line in lines if "left out" in line}


def test_a_step_that_finds_the_socket_adds_nothing(logged):
    """In a chroot steps see the pod's files, and come after the builder."""
    logged.write("FROM {base}\n")
    with logged.gateway(), connected(logged) as builder:
        builder.sendall(b"== the builder's\n")
        with contextlib.suppress(OSError), connected(logged) as step:
            step.sendall(b"== forged\n")
        builder.sendall(b"== the end\n")
    assert logged.kept() == "== the builder's\n== the end\n"


def test_what_a_terminal_obeys_is_shown_whoever_made_the_artifact(logged):
    reference = logged.put(gzip.compress(b"one\x1b[2Jtwo\r\x00 \xff \xe2\x80\xae\n"))
    done = logged.logs(reference)
    assert done.stdout == "one\\x1b[2Jtwo\\r\\x00 \ufffd \\u202e\n"


@pytest.mark.parametrize(
    ("content", "types", "words"),
    [
        (gzip.compress(b"x" * (65 << 20)), (ARTIFACT_TYPE, LAYER_TYPE), "is longer than 64 MiB"),
        (b"no gzip at all", (ARTIFACT_TYPE, LAYER_TYPE), "is broken"),
        (b"x", ("application/vnd.other", LAYER_TYPE), "is no log of a run"),
        (b"x", (ARTIFACT_TYPE, "text/plain"), "has no log that is read here"),
    ],
    ids=["bomb", "no gzip", "another artifact", "another layer"],
)
def test_what_is_no_log_is_refused(logged, content, types, words):
    done = logged.logs(logged.put(content, *types))
    assert done.returncode == 5
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_is_no_log(logged):
    done = logged.logs(logged.pod.base)
    assert (done.returncode, done.stdout) == (5, "")
    assert "status.history[].log names one" in done.stderr
