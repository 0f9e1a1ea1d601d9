"""The examples for CI systems, as each system runs them: the files as a reader pastes them, in real containers.

The registry and its Dockerfile's base want TLS of a CA that is mounted where kaniko has it, and a password.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from strake_oci.credentials import default_credentials
from strake_oci.registry.images import RegistryImages
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.conformance.flatten import flatten
from tests.fixtures.building.containers import Container, Kind
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.s3 import running_s3
from tests.fixtures.servers.web import make_repository, running_web_server
from tests.images.layouts import image_layout

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
DOCKERFILE = "FROM TINY\nARG VERSION=none\nCOPY file /file\nRUN test -s /file && echo $VERSION > /made\n"
DETECT = "".join(
    f"if [ -x {shell} ]; then exec {shell} $1; fi\n"
    for shell in (
        *("/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash", "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh"),
        "/busybox/sh",
    )
)
"""How GitLab's runner looks for a shell in the job's image."""
_PIPEFAIL = "if set -o | grep pipefail > /dev/null; then set -o pipefail; fi"


class Place:
    """A registry, and what a cluster would mount into the containers of a job.

    Args:
        registry: asks for a password.
        certificates: of the registry.
        directory: for what is mounted.
    """

    def __init__(self, registry, certificates, directory):
        self.registry, self.directory = registry, directory
        self.host = registry.host
        self.certificates = self.volume("certificates")
        shutil.copy(certificates.ca, self.certificates / "additional-ca-cert-bundle.crt")
        self.source = self.volume("source")
        (self.source / "Dockerfile").write_text(DOCKERFILE.replace("TINY", f"{self.host}/tiny:1"))
        (self.source / "file").write_text("from the context")
        self.auth = json.dumps({"auths": {self.host: {"auth": base64.b64encode(b"me:secret").decode()}}})
        self.docker = self.volume("docker")
        (self.docker / "config.json").write_text(self.auth)

    def volume(self, name):
        made = self.directory / name
        made.mkdir()
        return made

    def run(self, container, command, mounts, environment=None, cwd="/"):
        done = self.of(container).run(command, self._with_ca(mounts), environment or {}, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done

    def started(self, container, command, mounts, environment):
        return self.of(container).started(command, self._with_ca(mounts), environment)

    def of(self, container):
        """Return a container of an example's image, which must be one of this version."""
        image = container if isinstance(container, str) else container["image"]
        name, _, tag = image.rpartition(":")
        assert name == "registry.example/strake/builder"
        return Container(Kind("default"), image="debug" if tag.endswith("-debug") else "builder")

    def _with_ca(self, mounts):
        return {**mounts, "/kaniko/ssl/certs": self.certificates}

    def built(self, repository, tag):
        """Return the paths of an image that was pushed."""
        credentials = default_credentials({"DOCKER_AUTH_CONFIG": self.auth, "HOME": "/nonexistent"})
        with self.registry.client(credentials=credentials) as client:
            found = flatten(client, self.registry.repository(repository), tag).paths
        assert {"/file", "/made"} <= found.keys()
        assert "/kaniko/executor" not in found
        return found


@pytest.fixture(scope="module")
def locked(certificates):
    with running_registry(tls=certificates, htpasswd={"me": "secret"}) as registry:
        auth = {"auths": {registry.host: {"auth": base64.b64encode(b"me:secret").decode()}}}
        credentials = default_credentials({"DOCKER_AUTH_CONFIG": json.dumps(auth), "HOME": "/nonexistent"})
        with registry.client(credentials=credentials) as client:
            images = RegistryImages(client, registry.repository("tiny"))
            copy_image(Layout(image_layout("tiny")), "latest", images, "1")
        yield registry


@pytest.fixture
def place(locked, certificates, tmp_path):
    return Place(locked, certificates, tmp_path)


def example(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


def filled(value, pattern, values):
    """Return a document with its placeholders replaced, as the systems do: every one has a value."""
    if isinstance(value, str):
        return re.sub(pattern, lambda found: str(values[found[1].strip()]), value)
    if isinstance(value, list):
        return [filled(each, pattern, values) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, pattern, values) for key, each in value.items()}
    return value


def test_gitlab(place):
    """The runner mounts the script, takes the entry point away and looks for a shell."""
    job = example("gitlab-ci/.gitlab-ci.yml")["build"]
    assert job["image"]["entrypoint"] == [""]
    variables = {
        "CI_PROJECT_DIR": "/builds/team/app",
        "CI_REGISTRY": place.host,
        "CI_REGISTRY_IMAGE": f"{place.host}/team/gitlab",
        "CI_REGISTRY_USER": "me",
        "CI_REGISTRY_PASSWORD": "secret",
        "CI_COMMIT_SHORT_SHA": "1234abcd",
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    scripts = place.volume("scripts")
    (scripts / "script").write_text(
        "\n".join([_PIPEFAIL, "set -o errexit", *lines, "cd $CI_PROJECT_DIR", *job["script"], ""])
    )
    (scripts / "detect").write_text(DETECT)
    command = ["sh", "/scripts/detect", "/scripts/script"]
    done = place.run(job["image"]["name"], command, {"/builds/team/app": place.source, "/scripts": scripts})
    assert "secret" not in done.stdout + done.stderr
    place.built("team/gitlab", "1234abcd")


def test_tekton(place):
    """Parameters, workspaces and results are put into the words; the image's entry point is what is called."""
    spec = example("tekton/task.yaml")["spec"]
    given = {"IMAGE": f"{place.host}/team/tekton:1", "EXTRA_ARGS": ["--build-arg=VERSION=7", "--label=a=b"]}
    values = {
        f"params.{each['name']}": given.get(each["name"], each.get("default")) for each in spec["params"]
    }
    values |= {f"workspaces.{each['name']}.path": f"/workspace/{each['name']}" for each in spec["workspaces"]}
    values |= {f"results.{each['name']}.path": f"/tekton/results/{each['name']}" for each in spec["results"]}
    (step,) = spec["steps"]
    words: list[str] = []
    for word in step["args"]:
        whole = re.fullmatch(r"\$\(([^)]+)\[\*\]\)", word)
        words += values[whole[1]] if whole else [filled(word, r"\$\(([^)]+)\)", values)]
    step = filled({**step, "args": []}, r"\$\(([^)]+)\)", values)
    results = place.volume("results")
    (config,) = [each["mountPath"] for each in spec["workspaces"] if each["name"] == "dockerconfig"]
    mounts = {"/workspace/source": place.source, config: place.docker, "/tekton/results": results}
    command = [*step.get("command", ["/strake/strake"]), *words]
    place.run(step, command, mounts, cwd=step["workingDir"])
    place.built("team/tekton", "1")
    digest = (results / "IMAGE_DIGEST").read_text()
    assert (results / "IMAGE_URL").read_text() == f"{given['IMAGE']}@{digest}\n"


def test_argo(place):
    """Parameters are put into the words; the artifact is checked out before, and an output is a file."""
    spec = example("argo-workflows/workflow.yaml")["spec"]
    values = {
        f"workflow.parameters.{each['name']}": each["value"] for each in spec["arguments"]["parameters"]
    }
    values["workflow.parameters.image"] = f"{place.host}/team/argo:1"
    (template,) = filled(spec["templates"], r"\{\{([^}]+)\}\}", values)
    assert template["name"] == spec["entrypoint"]
    container = template["container"]
    (artifact,) = template["inputs"]["artifacts"]
    (secret,) = [each["secret"]["items"] for each in spec["volumes"]]
    assert secret == [{"key": ".dockerconfigjson", "path": "config.json"}]
    mounts = {each["mountPath"]: place.docker for each in container["volumeMounts"]}
    mounts |= {artifact["path"]: place.source, "/tmp": place.volume("tmp")}
    place.run(container, [*container["command"], *container["args"]], mounts, cwd=container["workingDir"])
    place.built("team/argo", "1")
    (output,) = template["outputs"]["parameters"]
    written = place.directory / output["valueFrom"]["path"].lstrip("/")
    assert written.read_text().startswith("sha256:")


def test_github(place, certificates):
    """The runner starts the job's container with `tail`, and runs each step's script in it."""
    repository = place.directory / "repository"
    files = {path.name: path.read_text() for path in place.source.iterdir()}
    make_repository(repository, **files)
    commit = (repository / ".git/refs/heads/main").read_text().strip()
    job = example("github-actions/build.yaml")["jobs"]["build"]
    with running_web_server(place.directory, certificates) as server:
        values = {
            "github.repositoryUrl": f"git://{server.url.removeprefix('https://')}/repository/.git",
            "github.repository": "team/github",
            "github.ref": "refs/heads/main",
            "github.sha": commit,
            "secrets.GITHUB_TOKEN": "a-token",
            "secrets.REGISTRY_USER": "me",
            "secrets.REGISTRY_PASSWORD": "secret",
            "vars.REGISTRY": place.host,
        }
        job = filled(job, r"\$\{\{([^}]+)\}\}", values)
        temporary = place.volume("temporary")
        mounts = {"/__w": place.volume("work"), "/__w/_temp": temporary}
        with place.started(job["container"], ["tail", "-f", "/dev/null"], mounts, job["env"]) as execute:
            for number, step in enumerate(job["steps"]):
                (temporary / f"{number}.sh").write_text(step["run"])
                done = execute(["sh", "-e", f"/__w/_temp/{number}.sh"])
                assert done.returncode == 0, done.stderr
                assert "secret" not in done.stdout + done.stderr
    place.built("team/github", commit)


def test_jenkins(place):
    """The plugin starts the pod's container with `sleep`, and runs the script with its own shell in it."""
    (container,) = example("jenkins/pod.yaml")["spec"]["containers"]
    pipeline = (EXAMPLES / "jenkins/Jenkinsfile").read_text()
    script = re.search(r"sh '''(.*?)'''", pipeline, re.DOTALL)
    shell = re.search(r"container\(name: '([^']+)', shell: '([^']+)'\)", pipeline)
    assert script
    assert shell
    assert shell[1] == container["name"]
    image = f"{place.host}/team/jenkins:1"
    assert "IMAGE = '" in pipeline
    (place.source / "script.sh").write_text(script[1])
    (place.source / "script.sh").chmod(0o755)
    work = "/home/jenkins/agent/workspace/app"
    mounts = {each["mountPath"]: place.docker for each in container["volumeMounts"]} | {work: place.source}
    command = [*container["command"], *container["args"]]
    with place.started(container, command, mounts, {"IMAGE": image}) as execute:
        done = execute([shell[2], "-c", f"cd {work} && ./script.sh"])
        assert done.returncode == 0, done.stderr
    place.built("team/jenkins", "1")


def test_skaffold(place):
    """It names no command, and has flags of its own making: see its package build/kaniko."""
    build = example("skaffold/skaffold.yaml")["build"]
    (artifact,) = build["artifacts"]
    kaniko = artifact["kaniko"]
    known = {"image", "dockerfile", "buildArgs", "label", "cache", "useNewRun", "singleSnapshot"}
    assert kaniko.keys() == known
    image = f"{place.host}/team/{artifact['image']}:v1"
    words = [
        "--destination",
        image,
        "--dockerfile",
        kaniko["dockerfile"],
        "--context",
        "dir:///kaniko/buildcontext",
    ]
    words += [
        word for name, value in kaniko["buildArgs"].items() for word in ("--build-arg", f"{name}={value}")
    ]
    words += ["--cache", "--cache-repo", kaniko["cache"]["repo"].replace("registry.example", place.host)]
    words += ["--use-new-run"] if kaniko["useNewRun"] else []
    words += [word for name, value in kaniko["label"].items() for word in ("--label", f"{name}={value}")]
    assert build["cluster"]["dockerConfig"]["secretName"]
    mounts = {"/kaniko/buildcontext": place.source, "/kaniko/.docker": place.docker}
    variables = {"UPSTREAM_CLIENT_TYPE": "UpstreamClient(skaffold-v2.14.0)"}
    first = place.run(kaniko, ["/strake/strake", *words], mounts, variables)
    place.built("team/app", "v1")
    assert "CACHED" not in first.stderr
    again = place.run(kaniko, ["/strake/strake", *words], mounts, variables)
    assert "CACHED" in again.stderr


def test_the_image_reads_buckets(place):
    """Of botocore's data the image has that of S3."""
    archive = place.directory / "context.tar"
    shutil.make_archive(str(archive.with_suffix("")), "tar", place.source)
    with running_s3({"context.tar": archive.read_bytes()}) as s3:
        variables = {
            "S3_ENDPOINT": s3.url,
            "S3_FORCE_PATH_STYLE": "true",
            "AWS_REGION": "us-east-1",
            **s3.reader,
        }
        command = ["/kaniko/executor", "--context=s3://box/context.tar", f"-d={place.host}/team/s3:1"]
        place.run(
            "registry.example/strake/builder:0.1.0", command, {"/kaniko/.docker": place.docker}, variables
        )
    place.built("team/s3", "1")


@pytest.mark.parametrize(
    "directory", ["argo-workflows", "github-actions", "gitlab-ci", "jenkins", "skaffold", "tekton"]
)
def test_the_page_leads_to_an_example_that_is_explained(directory):
    assert f"(../examples/{directory}/README.md)" in (ROOT / "docs/from-kaniko.md").read_text()
    page = (EXAMPLES / directory / "README.md").read_text()
    files = {path.name for path in (EXAMPLES / directory).iterdir()} - {"README.md"}
    assert all(f"({name})" in page for name in files)
