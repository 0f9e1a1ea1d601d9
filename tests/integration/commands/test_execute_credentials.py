"""Which images a builder pod can pull with which Secret: the Dockerfile's author need not own the push Secret."""

from __future__ import annotations

import base64
import json
import uuid

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.account import Account
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

USER, PASSWORD = "builder", "s3cret-words"


@pytest.fixture(scope="module")
def private():
    """A registry that shows nothing to anybody without a password."""
    with running_registry(htpasswd={USER: PASSWORD}) as running:
        yield running


@pytest.fixture
def destination(private) -> str:
    return f"{private.host}/team/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def execute(private, destination, tmp_path):
    """Execute a request of one FROM line with mounted Secrets; return the result."""
    secret = tmp_path / "config.json"
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    secret.write_text(json.dumps({"auths": {private.host: {"auth": auth}}}))

    def executed(base: str, *secrets: str, **changes) -> dict:
        request = {
            "source": {"inline": {"files": {"Dockerfile": f"FROM {base}\nCOPY Dockerfile /x\n"}}},
            "output": {"destinations": [f"{destination}:2"]},
            "registries": {
                "hosts": {private.host: {"insecure": True}},
                **{f"{name}Config": str(secret) for name in secrets},
            },
            "workDirectory": str(tmp_path / "work"),
            **changes,
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words])
        assert PASSWORD not in done.stdout + done.stderr
        return json.loads((tmp_path / "result.json").read_text())

    return executed


def pushed(private, name: str) -> str:
    push_image("tiny", name, Account(USER, PASSWORD))
    return name


def test_the_push_secret_opens_no_other_repository(private, execute):
    base = pushed(private, f"{private.host}/secret/base:1")
    refused = execute(base, "push")
    assert refused["reason"] == "BaseImagePullFailed"
    assert "secret/base" in refused["message"]
    assert execute(base, "push", "pull")["outcome"] == "Succeeded"


def test_the_push_secret_opens_the_builds_own_repositories(private, execute, destination):
    before = pushed(private, f"{destination}:1")
    assert execute(before, "push")["outcome"] == "Succeeded"


def test_cached_layers_come_from_a_repository_that_the_push_secret_opens(private, execute):
    base = pushed(private, f"{private.host}/secret/base:1")
    cache = {"cache": {"repository": f"{private.host}/team/cache"}}
    assert execute(base, "push", "pull", **cache)["steps"]["cached"] == 0
    assert execute(base, "push", "pull", **cache)["steps"]["cached"] == 1
