"""What a request says of registries, carried out as in a builder pod: private CA, client certificate, mirrors."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings, TLSSettings
from strake_oci.spec.reference import Reference
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.certificates import Certificates
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.images.push import push_image


@pytest.fixture(scope="module")
def private(certificates):
    """A registry that shows a certificate of a private CA and asks for one."""
    with running_registry(tls=certificates.demanding_client()) as running:
        yield running


@pytest.fixture(scope="module")
def mirror():
    """A registry that has the base image below a prefix."""
    with running_registry() as running:
        push_image("tiny", f"{running.host}/hub/library/busybox:1")
        yield running


@dataclass(frozen=True)
class Pod:
    """What a builder pod would have: a request and mounted files."""

    builder: Builder
    directory: Path
    certificates: Certificates
    private: LocalRegistry
    mirror: LocalRegistry

    @property
    def secret(self) -> Path:
        return self.directory / "registry-client"

    def mount_secret(self) -> None:
        self.secret.mkdir()
        shutil.copy(self.certificates.client, self.secret / "tls.crt")
        shutil.copy(self.certificates.client_key, self.secret / "tls.key")

    @property
    def trusted(self) -> dict:
        return {
            "ca": self.certificates.ca.read_text(),
            "clientCertificate": {"secret": "registry-client", "directory": str(self.secret)},
        }

    @property
    def mirrored(self) -> dict:
        return {
            "registry.invalid": {"mirrors": [f"{self.mirror.host}/hub"]},
            self.mirror.host: {"insecure": True},
        }

    @property
    def destination(self) -> str:
        return f"{self.private.host}/{self.builder.name}:1"

    def build(self, dockerfile: str, hosts: dict, **changes) -> dict:
        """Execute a request and return its result."""
        request = {
            "source": {"inline": {"files": {"Dockerfile": dockerfile}}},
            "output": {"destinations": [self.destination]},
            "registries": {"hosts": hosts},
            "workDirectory": str(self.builder.work),
            **changes,
        }
        (self.directory / "request.json").write_text(json.dumps(request))
        words = [STRAKE, "execute", "--log-format=json", "--request", self.directory / "request.json"]
        done = run_strake(
            [*words, "--result", self.directory / "result.json"], self.builder.environment(), timeout=180
        )
        result = json.loads((self.directory / "result.json").read_text())
        assert (done.returncode == 0) == ("reason" not in result), done.stderr
        return result

    def pushed(self, destination: str) -> str:
        """Return the digest of what is at the private registry."""
        made = self.certificates
        tls = TLSSettings((made.ca,), client_certificate=made.client, client_key=made.client_key)
        with RegistryClient(ClientSettings({self.private.host: RegistrySettings(tls=tls)})) as client:
            return str(client.resolve(Reference.parse(destination)).digest)


@pytest.fixture
def pod(builder, tmp_path, certificates, private, mirror):
    return Pod(builder, tmp_path, certificates, private, mirror)


BASE = "FROM registry.invalid/library/busybox:1\nRUN echo made > /made\n"


def test_base_from_a_mirror_image_and_cache_to_a_private_registry(pod):
    pod.mount_secret()
    hosts = {**pod.mirrored, pod.private.host: pod.trusted}
    cache = {"repository": f"{pod.private.host}/{pod.builder.name}/cache"}
    first = pod.build(BASE, hosts, cache=cache)
    assert pod.pushed(pod.destination) == first["digest"]
    assert first["baseImages"][0]["reference"] == "registry.invalid/library/busybox:1"
    second = pod.build(BASE, hosts, cache=cache)
    assert second["steps"]["cached"] == 1
    assert second["digest"] == first["digest"]
    base = pod.build(f"FROM {pod.destination}\nRUN cat /made\n", hosts)
    assert base["baseImages"][0]["digest"] == first["digest"]


def test_a_certificate_that_is_not_mounted_is_missed_where_it_is_needed(pod):
    hosts = {**pod.mirrored, pod.private.host: pod.trusted}
    push = pod.build(BASE, hosts)
    pull = pod.build(
        f"FROM {pod.destination}\n",
        {**hosts, pod.builder.registry.host: {"insecure": True}},
        output={"destinations": [pod.builder.destination]},
    )
    for result in (push, pull):
        assert result["reason"] == "SecretNotFound"
        assert f"there is no file {pod.secret}/tls.crt" in result["message"]
        assert "kubectl create secret tls registry-client --cert=FILE --key=FILE" in result["message"]


def test_a_certificate_that_is_not_needed_is_not_missed(pod):
    hosts = {**pod.mirrored, pod.private.host: pod.trusted, pod.builder.registry.host: {"insecure": True}}
    result = pod.build(BASE, hosts, output={"destinations": [pod.builder.destination]})
    assert "digest" in result


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key"])
def test_a_broken_certificate(pod, broken):
    pod.mount_secret()
    (pod.secret / broken).write_text("no PEM\n")
    result = pod.build(BASE, {**pod.mirrored, pod.private.host: pod.trusted})
    assert result["reason"] == "SecretNotFound"
    assert "tls.crt and its key cannot be used" in result["message"]


def test_an_encrypted_key_asks_nobody(pod):
    pod.mount_secret()
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:x", "-in", pod.secret / "tls.key", "-out", pod.secret / "k"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (pod.secret / "k").rename(pod.secret / "tls.key")
    assert pod.build(BASE, {**pod.mirrored, pod.private.host: pod.trusted})["reason"] == "SecretNotFound"


def test_without_the_ca_nothing_is_pushed(pod):
    pod.mount_secret()
    result = pod.build(BASE, {**pod.mirrored, pod.private.host: {**pod.trusted, "ca": None}})
    assert result["reason"] == "PushFailed"
    assert "not trusted" in result["message"]


def test_verification_can_be_switched_off(pod):
    pod.mount_secret()
    lenient = {**pod.trusted, "ca": None, "insecureSkipTLSVerify": True}
    assert "digest" in pod.build(BASE, {**pod.mirrored, pod.private.host: lenient})


def test_a_registry_is_not_asked_where_only_mirrors_may_be(pod):
    name = f"{pod.builder.registry.host}/library/busybox:1"
    hosts: dict[str, dict[str, Any]] = {
        pod.builder.registry.host: {"insecure": True, "mirrors": [f"{pod.mirror.host}/nothing"]},
        pod.mirror.host: {"insecure": True},
    }
    output = {"destinations": [pod.builder.destination]}
    assert "digest" in pod.build(f"FROM {name}\n", hosts, output=output)
    hosts[pod.builder.registry.host]["mirrorsOnly"] = True
    result = pod.build(f"FROM {name}\n", hosts, output=output)
    assert result["reason"] == "BaseImagePullFailed"
    assert pod.mirror.host in result["message"]


def test_what_was_wrong_with_a_mirror_is_reported(pod):
    hosts = replace(pod, mirror=replace(pod.mirror, host="mirror.invalid")).mirrored
    result = pod.build(BASE, {**hosts, pod.private.host: pod.trusted})
    assert result["reason"] in {"BaseImagePullFailed", "SecretNotFound"}
    without = pod.build(
        BASE, hosts, output={"destinations": ["registry.invalid/x"], "skipPushPermissionCheck": True}
    )
    assert "mirror mirror.invalid/hub/library/busybox: " in without["message"]


@pytest.mark.parametrize(
    "hosts",
    [
        {"https://r.example": {}},
        {"r.example": {"insecure": True, "ca": "x"}},
        {"r.example": {"mirrors": ["--flag"]}},
        {"r.example": {"clientCertificate": {"secret": "x", "directory": "relative"}}},
        {"r.example": {"ca": "/etc/passwd"}},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused(pod, hosts):
    result = pod.build(BASE, hosts)
    assert result["reason"] == "InvalidRequest"
    assert "registries.hosts." in result["message"]


def test_a_cache_that_asks_for_a_missing_certificate_is_done_without(pod):
    hosts = {**pod.mirrored, pod.private.host: pod.trusted, pod.builder.registry.host: {"insecure": True}}
    result = pod.build(
        BASE,
        hosts,
        output={"destinations": [pod.builder.destination]},
        cache={"repository": f"{pod.private.host}/{pod.builder.name}/cache"},
    )
    assert "digest" in result
    warnings = " ".join(each["message"] for each in result["warnings"])
    assert f"there is no file {pod.secret}/tls.crt" in warnings
