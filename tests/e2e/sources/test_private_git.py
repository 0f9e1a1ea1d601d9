"""A private repository as the source, on a server whose certificate the platform vouches for."""

from __future__ import annotations

import json

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, get
from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, manifest, run_image
from tests.e2e.conftest import TINY
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.git_server import running_git_server
from tests.fixtures.servers.ssh_server import running_ssh_server

TOKEN = "nobody-else-knows-this"
SECRET = "git-token"


@pytest.fixture(scope="module")
def server(platform, tmp_path_factory):
    """A git server of a company, whose CA Strake trusts; as it was before afterwards."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"), f"IP:{NODE_IP}")
    root = tmp_path_factory.mktemp("repositories")
    with running_git_server(root, made, TOKEN, NODE_IP) as running:
        trusted = {"ca": made.ca.read_text()}  # JSON is YAML
        with platform.changed(registries={"registries.yaml": json.dumps(trusted)}):
            yield running


def test_a_secret_opens_it_and_nothing_shows_it(server, namespace):
    dockerfile = manifest(
        "FROM base\nCOPY hello /\nCOPY --from=lib more /\nRUN env && cat /proc/self/mountinfo\n"
        "CMD cat /hello /more\n"
    )
    server.commit("lib", more="and of a library\n")
    commit = server.commit("app", hello="from a private place\n", **dockerfile["spec"]["source"]["inline"])
    user = [f"--from-literal={each}" for each in ("username=me", f"password={TOKEN}", f"host={server.host}")]
    kubectl("create", "secret", "generic", SECRET, "-n", namespace, "--type=kubernetes.io/basic-auth", *user)
    contexts = [
        {"name": "lib", "git": {"url": server.url("lib"), "secret": {"name": SECRET}}},
        {"name": "base", "image": TINY},
    ]
    source = {"git": {"url": server.url("app"), "secret": {"name": SECRET}}}
    status = build(namespace, "", source=source, contexts=contexts)
    assert status["phase"] == "Succeeded", status
    assert status["source"]["revision"] == commit
    assert f"me:{TOKEN}" in server.seen
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace)
    assert TOKEN not in log + json.dumps(status) + json.dumps(get("configmaps", "-n", namespace))
    assert "STRAKE_GIT" not in log
    assert "/strake/git" not in log
    assert run_image(namespace, status["image"]) == "from a private place\nand of a library\n"


def test_a_key_opens_it_by_ssh(namespace, tmp_path):
    with running_ssh_server(tmp_path / "ssh", NODE_IP) as server:
        commit = server.commit("app", Dockerfile="FROM scratch\nCOPY hello /\n", hello="by ssh\n")
        (tmp_path / "known_hosts").write_text(server.known_hosts)
        files = [f"--from-file=ssh-privatekey={tmp_path}/ssh/key", f"--from-file={tmp_path}/known_hosts"]
        kubectl(
            "create", "secret", "generic", "deploy", "-n", namespace, "--type=kubernetes.io/ssh-auth", *files
        )
        status = build(
            namespace, "", source={"git": {"url": server.url("app"), "secret": {"name": "deploy"}}}
        )
    assert status["phase"] == "Succeeded", status
    assert status["source"]["revision"] == commit
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace, "--all-containers")
    assert "PRIVATE KEY" not in log + json.dumps(status) + json.dumps(get("configmaps", "-n", namespace))


def test_without_a_secret_the_status_says_what_to_check(server, namespace):
    server.commit("closed", Dockerfile="FROM scratch\n")
    failure = build(namespace, "", source={"git": {"url": server.url("closed")}})["failure"]
    assert failure["reason"] == "SourceFetchFailed"
    assert "credentials" in failure["message"]


def test_a_secret_that_is_not_there(server, namespace):
    source = {"git": {"url": server.url("app"), "secret": {"name": "nobody-made-it"}}}
    failure = build(namespace, "", source=source)["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert '"nobody-made-it" does not exist' in failure["message"]


def test_a_secret_without_a_password(server, namespace):
    kubectl("create", "secret", "generic", SECRET, "-n", namespace, "--from-literal=token=x")
    source = {"git": {"url": server.url("app"), "secret": {"name": SECRET}}}
    failure = build(namespace, "", source=source)["failure"]
    assert failure["reason"] == "InvalidRequest"
    assert "has no password" in failure["message"]
    assert "kubernetes.io/basic-auth" in failure["message"]


def test_a_secret_of_another_application_goes_to_no_git_server(server, namespace):
    words = [
        "--from-literal=username=app",
        f"--from-literal=password={TOKEN}",
        "--from-literal=host=db.internal",
    ]
    kubectl("create", "secret", "generic", "db-credentials", "-n", namespace, *words)
    asked = len(server.seen)
    source = {"git": {"url": server.url("app"), "secret": {"name": "db-credentials"}}}
    failure = build(namespace, "", source=source)["failure"]
    assert failure["reason"] == "InvalidRequest"
    assert "is not for" in failure["message"]
    assert len(server.seen) == asked


def test_a_password_is_not_sent_unencrypted(platform, namespace):
    source = {"git": {"url": f"http://{NODE_IP}/app", "secret": {"name": SECRET}}}
    with pytest.raises(ObjectError, match=r"git\.secret needs an https or ssh URL"):
        apply(manifest("", source=source), namespace)
