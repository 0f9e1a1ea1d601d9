"""Containers as pipelines have them for kaniko: the context at /workspace, credentials at /kaniko/.docker."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from strake_oci.credentials import default_credentials
from strake_oci.signatures import BOTH
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository
from tests.conformance.flatten import flatten
from tests.fixtures.building.containers import Container, Kind
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.images.push import push_image
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

WAYS = {
    "nested": Kind(own_users=True),
    "chroot": Kind("default", own_users=True),
    "chroot, host users": Kind("default"),
}


@pytest.fixture(scope="module")
def locked():
    """A registry that lets in nobody without the password."""
    with running_registry(htpasswd={"me": "secret"}) as registry:
        auth = {"auths": {registry.host: {"auth": base64.b64encode(b"me:secret").decode()}}}
        credentials = default_credentials({"DOCKER_AUTH_CONFIG": json.dumps(auth), "HOME": "/nonexistent"})
        push_image("tiny", f"{registry.host}/tiny:1", credentials)
        yield registry, auth


class Executor:
    """Builds with kaniko's arguments where kaniko's users mount things."""

    def __init__(self, way: str, registry: LocalRegistry, directory: Path) -> None:
        self.way, self.registry, self.directory = way, registry, directory
        self.workspace = directory / "workspace"
        for name in ("workspace", "docker", "work"):
            (directory / name).mkdir()

    def __call__(self, dockerfile, *flags, mounts=None, context="/workspace", environment=None):
        host = self.registry.host
        (self.workspace / "Dockerfile").write_text(dockerfile.replace("TINY", f"{host}/tiny:1"))
        work = self.directory / "work" if self.way == "nested" else None
        command = ["/strake/strake", f"--context=dir://{context}", f"--destination={host}/app:1"]
        command += ["--dockerfile=Dockerfile", "--insecure", f"--insecure-registry={host}", *flags]
        volumes = {context: self.workspace, "/kaniko/.docker": self.directory / "docker"}
        return Container(WAYS[self.way], work).run(
            command,
            volumes | (mounts or {}),
            {"DOCKER_CONFIG": "/kaniko/.docker"} | (environment or {}),
        )


@pytest.fixture(params=WAYS)
def executor(request, locked, tmp_path) -> Executor:
    registry, auth = locked
    executor = Executor(request.param, registry, tmp_path)
    (tmp_path / "docker/config.json").write_text(json.dumps(auth))
    return executor


def test_a_build_that_has_nothing_there(executor):
    (executor.workspace / "file").write_text("from the context")
    done = executor(
        "FROM TINY AS one\nWORKDIR /app\nCOPY . .\nRUN cat file > built\n"
        "FROM TINY\nRUN true\nCOPY --from=one /app/built /built\nRUN test -s /built && rm -rf /tmp && mkdir /tmp\n"
    )
    assert done.returncode == 0, done.stderr


def test_an_image_is_signed_and_in_a_chroot_the_key_is_warned_of(executor, tmp_path):
    """Steps share a chroot with the builder; elsewhere they see nothing of the key."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/cosign.key").write_bytes(KEY)
    is_chroot = executor.way != "nested"
    done = executor(
        "FROM TINY\nRUN true\n" + ("" if is_chroot else "RUN ! ls /keys\n"),
        "--sign-key=/keys/cosign.key",
        mounts={"/keys": tmp_path / "keys"},
        environment={"COSIGN_PASSWORD": PASSWORD.decode()},
    )
    assert done.returncode == 0, done.stderr
    assert ("can read the key that signs" in done.stderr) == is_chroot
    repository, digest = done.stdout.split()[-1].split("@")
    auth = json.dumps(json.loads((executor.directory / "docker/config.json").read_text()))
    credentials = default_credentials({"DOCKER_AUTH_CONFIG": auth, "HOME": "/nonexistent"})
    with executor.registry.client(credentials=credentials) as client:
        key = VerificationKey.load(PUBLIC)
        assert verify_image(client, Repository.parse(repository), Digest.parse(digest), key).verified == BOTH


CLASH = """\
FROM TINY AS one
WORKDIR /workspace
COPY . .
RUN cat file > built
FROM TINY
COPY --from=one /workspace/built /built
"""


def test_a_working_directory_of_the_same_name(executor):
    """kaniko copies into the volume, and leaves what is in it out of the image."""
    (executor.workspace / "file").write_text("from the context")
    done = executor(CLASH)
    if executor.way == "nested":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 6, done.stderr
    assert "Dockerfile:4: the step's image has /workspace, and so has the builder's container" in done.stderr
    assert "for example at /strake/workspace" in done.stderr
    assert sorted(path.name for path in executor.workspace.iterdir()) == ["Dockerfile", "file"]


def test_what_it_says_helps(executor):
    (executor.workspace / "file").write_text("from the context")
    done = executor(CLASH, context="/strake/workspace")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("at", ["$DOCKER_CONFIG", "/kaniko/.docker", "/root/.docker"])
@pytest.mark.parametrize("program", ["/kaniko/executor", "strake build"])
def test_scripts_write_the_credentials_where_they_do_for_kaniko(locked, tmp_path, at, program):
    """Whatever the script calls afterwards; Docker's own directory counts where kaniko's has nothing."""
    registry, auth = locked
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /file\n")
    script = f"mkdir -p {at}; echo '{json.dumps(auth)}' > {at}/config.json\n"
    script += f"{program} -c /context -d {registry.host}/scripted:1 --insecure-registry {registry.host}"
    script += f" --insecure-credentials {registry.host}"
    done = Container(Kind("default"), image="debug").run(
        ["/busybox/sh", "-ec", script], {"/context": tmp_path}
    )
    assert done.returncode == 0, done.stderr


def test_a_context_inside_a_directory_of_the_image(executor):
    """As in pods of Jenkins, whose agent is at /home/jenkins/agent: an image has users in /home as well."""
    (executor.workspace / "file").write_text("from the context")
    done = executor(
        "FROM TINY AS one\nRUN mkdir -p /home/app && echo x > /home/app/x\nCOPY file /home/app/file\n"
        "WORKDIR /home/app\nRUN --mount=type=bind,target=/seen test -s file && test -s /seen/file && touch y\n"
        "FROM TINY\nRUN sleep 1\nCOPY file /other\nCOPY --from=one /home /home\nRUN test -e /home/app/y\n",
        context="/home/jenkins/agent/workspace/app",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in executor.workspace.iterdir()) == ["Dockerfile", "file"]
    auth = json.dumps(json.loads((executor.directory / "docker/config.json").read_text()))
    credentials = default_credentials({"DOCKER_AUTH_CONFIG": auth, "HOME": "/nonexistent"})
    with executor.registry.client(credentials=credentials) as client:
        found = flatten(client, executor.registry.repository("app"), "1").paths
    assert [path for path in found if path.startswith("/home/")] == [
        "/home/app",
        "/home/app/file",
        "/home/app/x",
        "/home/app/y",
    ]


@pytest.mark.parametrize("step", ["true", "cat /workspace/Dockerfile | wc -l"])
def test_an_empty_directory_of_the_same_name_is_in_nobodys_way(executor, step):
    done = executor(
        f"FROM TINY AS base\nWORKDIR /workspace\nFROM base\nWORKDIR /\nRUN {step} > /out 2>&1 || true\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_step_that_writes_where_the_context_is(executor):
    done = executor("FROM TINY\nWORKDIR /workspace\nWORKDIR /\nRUN mkdir /workspace/made\n")
    if executor.way == "nested":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 6, done.stderr
    assert "Dockerfile:4: the step wrote to /workspace" in done.stderr
    assert "would be missing from the image" in done.stderr


def test_a_volume_for_what_is_temporary(executor, tmp_path):
    """Pods whose root is read-only elsewhere have one at /tmp."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    dockerfile = "FROM TINY\nRUN echo x > /tmp/x && test -s /tmp/x && cp /tmp/x /kept\nRUN test -s /kept\n"
    done = executor(dockerfile, mounts={"/tmp": tmp_path / "tmp"})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "mount", ["type=bind,target=/workspace", "type=tmpfs,target=/workspace", "type=cache,target=/workspace"]
)
def test_a_mount_over_the_volume(executor, mount):
    done = executor(f"FROM TINY\nRUN --mount={mount} ls /workspace\n")
    if executor.way == "nested":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 6, done.stderr
    assert "Dockerfile:2: " in done.stderr
    assert "for example at /strake/workspace" in done.stderr
    assert sorted(path.name for path in executor.workspace.iterdir()) == ["Dockerfile"]


BESIDE_A_STEP = """\
FROM TINY AS slow
RUN sleep 3 && touch /slow
FROM TINY AS quick
RUN --mount=type=secret,id=key test "$(cat /run/secrets/key)" = opensesame && touch /quick
FROM TINY
COPY --from=slow /slow /
COPY --from=quick /quick /
"""


def test_a_secret_is_read_while_another_step_has_the_root(executor, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("opensesame")
    done = executor(
        BESIDE_A_STEP,
        "--secret=id=key,src=/kaniko/secrets/key",
        mounts={"/kaniko/secrets": tmp_path / "secrets"},
    )
    assert done.returncode == 0, done.stderr


def test_one_layer_has_what_every_step_did_to_a_directory(executor):
    """A chroot renames the tree for each step, which is not to hide what an earlier one did."""
    done = executor(
        "FROM TINY\nRUN chmod 701 /home && mkdir -m 702 /made\nRUN true\nRUN touch /home/x && chmod 703 /made\n"
        "RUN true\n",
        "--single-snapshot",
        "--insecure-credentials=" + executor.registry.host,
    )
    assert done.returncode == 0, done.stderr
    auth = (executor.directory / "docker/config.json").read_text()
    credentials = default_credentials({"DOCKER_AUTH_CONFIG": auth, "HOME": "/nonexistent"})
    with executor.registry.client(credentials=credentials) as client:
        built = flatten(client, executor.registry.repository("app"), "1")
    assert built.layers == 2
    assert (built.paths["/home"]["mode"], built.paths["/made"]["mode"]) == ("0701", "0703")
    assert "/home/x" in built.paths


NO_COMMAND = """\
FROM TINY
COPY file /file
RUN test ! -e /kaniko/executor && mkdir -p /kaniko && echo mine > /kaniko/kept && test -s /file
RUN test "$(cat /kaniko/kept)" = mine
"""


@pytest.mark.parametrize("way", WAYS)
def test_the_executor_by_kanikos_name(locked, tmp_path, way):
    """Nothing is told to it that kaniko's image knows by itself, and an image may have a /kaniko."""
    registry, auth = locked
    for name in ("workspace", "docker", "work", "certificates"):
        (tmp_path / name).mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps(auth))
    (tmp_path / "workspace/Dockerfile").write_text(NO_COMMAND.replace("TINY", f"{registry.host}/tiny:1"))
    (tmp_path / "workspace/file").write_text("from the context")
    mounts = {"/workspace": tmp_path / "workspace", "/kaniko/.docker": tmp_path / "docker"}
    container = Container(WAYS[way], tmp_path / "work" if way == "nested" else None)
    flags = [f"--destination={registry.host}/executor:1", "--insecure", "--insecure-pull"]
    flags += [f"--insecure-credentials={registry.host}", "--digest-file=digest", "--force", "--cleanup"]
    done = container.run(["/kaniko/executor", *flags], mounts)
    assert done.returncode == 0, done.stderr
    assert "note: --cleanup is not needed" in done.stderr
    assert (tmp_path / "workspace/digest").read_text() == done.stdout.strip().rpartition("@")[2]


def test_what_else_is_there(locked, tmp_path):
    registry, auth = locked
    (tmp_path / "docker").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps(auth))
    plain = Container(Kind("default"))
    assert plain.run(["/kaniko/executor", "version"]).stdout.startswith("strake ")
    assert "--single-snapshot" in plain.run(["/kaniko/executor", "--help"]).stdout
    assert "--build-context" in plain.run(["/strake/strake", "completion", "bash"]).stdout
    files = ["/kaniko/.docker", "/kaniko/ssl/certs/ca-certificates.crt", "/kaniko/warmer"]
    script = "".join(f"test -e {path} && " for path in files) + "command -v executor"
    assert plain.run(["/bin/sh", "-c", script]).stdout == "/kaniko/executor\n"
    words = ["/kaniko/warmer", f"--image={registry.host}/tiny:1", "--insecure-pull"]
    mounts = {"/kaniko/.docker": tmp_path / "docker", "/cache": tmp_path / "cache"}
    done = plain.run([*words, f"--insecure-credentials={registry.host}"], mounts)
    assert done.returncode == 2, "the flag of credentials wants the registry named"
    words[-1] = f"--insecure-registry={registry.host}"
    done = plain.run([*words, f"--insecure-credentials={registry.host}"], mounts)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "cache/layers").iterdir())
