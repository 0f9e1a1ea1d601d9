"""`kubectl strake build`: what goes to the registry and to the cluster, with a cluster that is only its API."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.api_server import ApiServer, running_api_server
from tests.unit.strake_kubectl.conftest import DIGEST, failed, pod, succeeded


@pytest.fixture
def api():
    with running_api_server() as running:
        yield running


@pytest.fixture
def build(api: ApiServer, builder: Builder, tmp_path):
    """Run the command on a directory, with a kubeconfig for the server."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "api" / ".dockerignore").write_text("secret\n.dockerignore\nDockerfile\n")
    (tmp_path / "api" / "secret").write_text("s3cret-words")
    (tmp_path / "api" / "motd").write_text("hello\n")
    variables = {**builder.environment(), "KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig"))}

    def ran(*words: str):
        command = [STRAKE, "ib", "build", tmp_path / "api", "-t", builder.destination, *words]
        return run_strake([*command, f"--insecure-registry={builder.registry.host}"], variables)

    return ran


def test_a_directory_becomes_a_source_by_digest(build, builder, api, tmp_path):
    done = build("--detach", "--push-secret", "push")
    assert done.returncode == 0, done.stderr
    assert "pushing 3 files" in done.stderr
    made = api.builds["team", "api"]
    reference = made["spec"]["source"]["oci"]["reference"]
    assert reference.startswith(f"{builder.destination.rpartition(':')[0]}@sha256:")
    assert made["spec"]["pushSecret"] == {"name": "push"}
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "kubectl-strake"}
    # The builder of a pod makes the image of it that it would make of the directory.
    again = builder.run("--context", f"oci://{reference}")
    assert again.returncode == 0, again.stderr
    assert set(builder.built().paths) == {"/motd"}


def test_a_second_time_changes_the_build_or_runs_it_again(build, api, tmp_path):
    build("--detach")
    first = api.builds["team", "api"]["spec"]["source"]
    build("--detach")
    assert api.builds["team", "api"]["metadata"]["annotations"]["strake.dev/rerun"]
    (tmp_path / "api" / "motd").write_text("another\n")
    build("--detach", "--target", "final")
    changed = api.builds["team", "api"]
    assert changed["spec"]["source"] != first
    assert (changed["spec"]["target"], changed["metadata"]["generation"]) == ("final", 2)
    build("--detach")
    assert "target" not in api.builds["team", "api"]["spec"]


def test_the_build_of_somebody_else_is_not_touched(build, builder, api):
    api.put(succeeded())
    done = build("--detach")
    assert done.returncode == 1
    assert "was not made by this command" in done.stderr
    assert "--name" in done.stderr
    assert [each for each in api.asked if not each.startswith("GET")] == []
    assert not any("PUT" in line for line in builder.registry.requests() if builder.name in line)


@pytest.mark.parametrize(("ended", "code"), [(succeeded(), 0), (failed(), 7)], ids=["succeeds", "fails"])
def test_it_is_followed_to_its_end(build, api, ended, code):
    """The log goes to standard error, the image to standard output, and the status is the build's."""
    ended["metadata"] |= {"labels": {"app.kubernetes.io/managed-by": "kubectl-strake"}}
    api.put(ended)
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = b"== building\n"
    api.operator = lambda build: build | {"status": ended["status"] | {"observedGeneration": 9}}
    done = build()
    assert done.returncode == code, done.stderr
    assert "== building\n" in done.stderr
    assert (DIGEST in done.stdout) is (code == 0)
    assert ("error: RunStepFailed: it ended with 2" in done.stderr) is (code == 7)


def test_a_registry_that_refuses_ends_it_before_anything_is_made(build, api):
    done = build("--detach", "--context-repository", "localhost:1/team/context")
    assert done.returncode == 8
    assert "cannot push the context to localhost:1/team/context" in done.stderr
    assert api.builds == {}


def test_flags_are_refused_first(build, api):
    assert build("--platform", "windows/amd64").returncode == 2
    assert api.asked == []
    assert json.dumps(api.builds) == "{}"
