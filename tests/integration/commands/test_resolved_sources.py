"""What a SourceRequest finds out, and that builds which are given it build that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.git_server import running_git_server
from tests.integration.commands.test_http_source import packed, serve
from tests.unit.strake_builder.context.test_directory import mounted

__all__ = ["serve"]
PASSWORD = "s3cret-words"
DOCKERFILE = "FROM scratch\nCOPY . /\n"


@pytest.fixture
def execute(builder, tmp_path, certificates):
    """Carry out a request, and return the result."""

    def executed(kind: str, **fields: object) -> dict:
        request = {
            "kind": kind,
            "ca": certificates.ca.read_text(),
            "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
            **({"output": {"destinations": [builder.destination]}} if kind == "BuildRequest" else {}),
            **fields,
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words, "--log-format", "pod"])
        assert PASSWORD not in done.stdout + done.stderr
        assert "the source" in done.stdout
        assert not (tmp_path / "work").exists() or not any((tmp_path / "work").iterdir())
        return json.loads((tmp_path / "result.json").read_text())

    return executed


@pytest.fixture
def private(tmp_path, certificates):
    """A git server, and the Secret that opens it."""
    secret = tmp_path / "git"
    secret.mkdir()
    with running_git_server(tmp_path / "repositories", certificates, PASSWORD) as server:
        for key, text in (("username", "me"), ("password", PASSWORD), ("host", server.host)):
            (secret / key).write_text(text)
        yield server, str(secret)


def test_a_commit_is_what_the_branch_was(private, execute, builder):
    """The branch moves after it was resolved: what is built is the commit, and not the branch."""
    server, secret = private
    first = server.commit("app", Dockerfile=DOCKERFILE, motd="first\n")
    git = {"url": server.url("app"), "ref": "main", "credentials": secret}

    result = execute("SourceRequest", source={"git": git})
    server.commit("app", motd="the second one\n")
    built = execute("BuildRequest", source={"git": {**git, "commit": first, "resolved": True}})
    moved = execute("BuildRequest", source={"git": {**git, "commit": first}})

    assert result["sources"] == [{"name": "", "revision": first}]
    assert built["outcome"] == "Succeeded", built
    assert builder.built().paths["/motd"]["size"] == len("first\n")
    assert moved["reason"] == "SourceFetchFailed"


@pytest.mark.parametrize(
    ("ref", "words"), [("nowhere", "has no branch or tag 'nowhere'"), ("main", "not 0000000")]
)
def test_a_ref_that_is_none_or_another_commit(private, execute, ref, words):
    server, secret = private
    server.commit("app", Dockerfile=DOCKERFILE)
    git = {"url": server.url("app"), "ref": ref, "credentials": secret, "commit": "0000000"}
    result = execute("SourceRequest", source={"git": git})
    assert result["reason"] == "SourceFetchFailed"
    assert words in result["message"]


def test_an_archive_and_a_configmap(serve, execute, tmp_path):
    files, url = serve
    files["/app.tar"] = content = packed()
    directory = mounted(tmp_path / "mounted", {"Dockerfile": DOCKERFILE})
    contexts = [{"name": "app", "source": {"http": {"url": f"{url}/app.tar"}}}]

    result = execute("SourceRequest", source={"directory": {"path": str(directory)}}, contexts=contexts)

    own, app = result["sources"]
    assert app == {"name": "app", "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    pinned = {"directory": {"path": str(directory), "digest": own["digest"]}}
    assert execute("BuildRequest", source=pinned)["outcome"] == "Succeeded"
    mounted(directory, {"Dockerfile": DOCKERFILE + "LABEL a=b\n"}, "..later")
    assert "the ConfigMap changed meanwhile" in execute("BuildRequest", source=pinned)["message"]


def test_a_failure_names_the_context(serve, execute):
    _, url = serve
    contexts = [{"name": "app", "source": {"http": {"url": f"{url}/missing.tar"}}}]
    result = execute("SourceRequest", source={"inline": {"files": {}}}, contexts=contexts)
    assert result["reason"] == "SourceFetchFailed"
    assert result["message"].startswith("the named context app: ")
    assert "status 404" in result["message"]


def test_what_a_cluster_has_not_is_refused(execute, tmp_path):
    Path(tmp_path / "app.tar").write_bytes(packed())
    result = execute("SourceRequest", source={"archive": {"path": str(tmp_path / "app.tar")}})
    assert result["reason"] == "InvalidRequest"


def test_source_policies_decide_before_a_source_is_asked_for(serve, execute):
    files, url = serve
    files["/mirrored.tar"] = content = packed()
    policies = [
        {
            "rules": [
                {"action": "DENY", "selector": {"identifier": f"{url}/denied.tar"}},
                {
                    "action": "CONVERT",
                    "selector": {"identifier": f"{url}/app.tar"},
                    "updates": {"identifier": f"{url}/mirrored.tar"},
                },
            ]
        }
    ]
    converted = execute("SourceRequest", source={"http": {"url": f"{url}/app.tar"}}, sourcePolicies=policies)
    denied = execute("SourceRequest", source={"http": {"url": f"{url}/denied.tar"}}, sourcePolicies=policies)

    assert converted["sources"][0]["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert denied["outcome"] == "Failed"
    assert "denied.tar" in denied["message"]
