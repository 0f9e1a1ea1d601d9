"""A builder pod with a role of AWS, as the cluster's webhook makes one: `strake execute` pushes with it, steps get nothing.

ECR is a local registry: the proxy of the builder's environment leads its name there.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.clouds import AWS, running_cloud
from tests.fixtures.servers.gateway import running_gateway
from tests.fixtures.servers.registry import running_registry

PLAIN = {"insecure": True, "insecureCredentials": True}
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
TOKEN = "pod-token"  # what the local STS takes


@pytest.fixture(scope="module")
def ecr():
    with running_registry(htpasswd={"AWS": "ecr-role", "secret": "given"}) as registry:
        yield registry


@dataclass(frozen=True)
class Pod:
    """Runs `strake execute` with what a pod of a ServiceAccount has."""

    builder: Builder
    directory: Path
    environment: dict[str, str]

    @property
    def token(self) -> Path:
        return self.directory / "secrets/eks.amazonaws.com/serviceaccount/token"

    def execute(self, dockerfile: str, token: str = TOKEN, **registries: str):
        path = self.write(dockerfile, token, **registries)
        return self.run(path, self.has_identity)

    def run(self, request: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return run_strake([STRAKE, "execute", "--request", request], environment)

    @property
    def has_identity(self) -> dict[str, str]:
        """The environment of the container that the cloud's webhook gives a role to."""
        return self.builder.environment(AWS_WEB_IDENTITY_TOKEN_FILE=str(self.token), **self.environment)

    def write(self, dockerfile: str, token: str, **registries: str) -> Path:
        """Write the request, and the token that the kubelet puts into the pod."""
        context = self.builder.context(dockerfile)
        self.token.parent.mkdir(parents=True)
        self.token.write_text(token)
        request = {
            "source": {"directory": {"path": str(context)}},
            "output": {"destinations": [f"{ECR}/{self.builder.name}:1"]},
            "registries": {"hosts": dict.fromkeys((ECR, self.builder.registry.host), PLAIN), **registries},
            "workDirectory": str(self.builder.work),
        }
        path = self.directory / "request.json"
        path.write_text(json.dumps(request))
        return path


@pytest.fixture
def pod(builder, ecr, tmp_path):
    """Yield the pod, and what it asks of AWS."""
    with running_cloud(AWS) as (host, asked):
        environment = {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/builder",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_ECR": f"http://{host}",
            "AWS_ENDPOINT_URL_STS": f"http://{host}",
            "HTTP_PROXY": ecr.url,
            "NO_PROXY": "localhost",
        }
        yield Pod(builder, tmp_path, environment), asked


def pushed(pod, ecr) -> bool:
    return (ecr.root / "docker/registry/v2/repositories" / pod.builder.name / "_manifests/tags/1").exists()


def test_the_role_pushes(pod, ecr):
    pod, asked = pod
    done = pod.execute("FROM TINY\nRUN echo built > /built")
    assert done.returncode == 0, done.stderr
    assert pushed(pod, ecr)
    assert len(asked) == 2, "the role and its password are asked for once a build"


def by_gateway(pod, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Build with a builder that has no identity, beside a gateway that has one."""
    socket = pod.directory / "gateway.socket"
    request = pod.write("FROM TINY\nRUN echo built > /built", token, gateway=str(socket))
    with running_gateway(request, pod.directory, environment=pod.has_identity):
        return pod.run(request, pod.builder.environment())


def test_the_gateways_role_pushes_for_a_builder_that_has_none(pod, ecr):
    pod, asked = pod
    done = by_gateway(pod)
    assert done.returncode == 0, done.stderr
    assert pushed(pod, ecr)
    assert len(asked) == 2, "the role and its password are asked for once a build"


def test_a_role_that_the_gateway_is_refused_is_the_builders_error(pod, ecr):
    pod, _ = pod
    done = by_gateway(pod, "stolen-token")
    assert done.returncode == 9, done.stderr
    assert "InvalidIdentityToken" in done.stderr
    assert "stolen-token" not in done.stdout + done.stderr
    assert not pushed(pod, ecr)


def test_a_secret_goes_before_the_role(pod, ecr, tmp_path):
    pod, asked = pod
    secret = tmp_path / "config.json"
    secret.write_text(json.dumps({"auths": {ECR: {"username": "secret", "password": "given"}}}))
    done = pod.execute("FROM TINY\nRUN true", pushConfig=str(secret))
    assert done.returncode == 0, done.stderr
    assert pushed(pod, ecr)
    assert asked == []


def test_a_role_that_is_refused_is_told_before_the_first_step(pod, ecr):
    pod, _ = pod
    done = pod.execute("FROM TINY\nRUN echo a step", token="stolen-token")
    assert done.returncode == 9, done.stderr
    assert "InvalidIdentityToken" in done.stderr
    assert "service account" in done.stderr
    assert "stolen-token" not in done.stdout + done.stderr
    assert not pushed(pod, ecr)


ATTACK = """\
FROM TINY
RUN --mount=target=/context --mount=type=cache,target=/cache env; for each in /proc/[0-9]*; do tr '\\0' '\\n' < $each/environ; done; \
    cat PATH /proc/1/root/PATH /proc/self/cwd/PATH ../../../../../../PATH /context/../PATH 2>&1; \
    mkdir -p /jail && cp /bin/busybox /jail/ && chroot /jail /busybox cat ../../../../../PATH 2>&1; \
    find / -xdev -path '*serviceaccount*' | sed 's/^/FOUND /'; \
    ls -A /var/run/secrets /run/secrets 2>&1 | sed 's/^/FOUND /'; true
"""


def test_a_step_finds_neither_the_token_nor_its_variables(pod, ecr):
    pod, _ = pod
    done = pod.execute(ATTACK.replace("PATH", str(pod.token).lstrip("/")), token=TOKEN)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    lines = [line.partition(" | ")[2] for line in output.splitlines() if " | " in line]
    assert [line for line in lines if line.startswith("PATH=")], "the environment was printed"
    assert not [line for line in lines if line == TOKEN]
    assert not [line for line in lines if line.startswith(("AWS_", "HTTP_PROXY"))]
    found = [line for line in lines if line.startswith("FOUND ") and "No such file" not in line]
    assert found == []
    for secret in ("ecr-role", "AKIAROLE"):
        assert secret not in output
