"""What a platform's rules about images forbid, wherever a Dockerfile names one."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake


@pytest.fixture
def execute(builder, tmp_path):
    """Execute a request about a Dockerfile; return its result."""

    def executed(dockerfile: str, *rules: dict, **more: object) -> dict:
        context = builder.context(dockerfile)
        request = {
            "source": {"directory": {"path": str(context)}},
            "output": {"destinations": [builder.destination]},
            "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
            "workDirectory": str(builder.work),
            "imageRules": rules,
            **more,
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        run_strake([STRAKE, *words], builder.environment())
        return json.loads((tmp_path / "result.json").read_text())

    return executed


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM BASE",
        "FROM TINY\nCOPY --from=BASE /etc/passwd /",
        "FROM TINY\nRUN --mount=from=BASE,target=/m true",
        "ARG IMAGE=BASE\nFROM TINY AS a\nFROM ${IMAGE}\nCOPY --from=a /bin /b",
    ],
)
def test_an_image_that_no_pattern_fits_is_refused(execute, builder, dockerfile):
    rule = {"policy": "golden", "names": [f"{builder.registry.host}/library/busybox"]}
    result = execute(dockerfile, rule)
    assert result["reason"] == "PolicyDenied"
    assert f"BuildPolicy golden forbids the image {builder.names['BASE']}" in result["message"]
    assert builder.tags() == []
    assert builder.left_behind() == []


def test_what_is_allowed_is_built(execute, builder):
    rules = [
        {"policy": "golden", "names": [f"{builder.registry.host}/library/*"]},
        {"policy": "any"},
    ]
    stages = "FROM scratch AS a\nCOPY Dockerfile /\nFROM TINY\nCOPY --from=a /Dockerfile /\n"
    assert execute(stages, *rules)["outcome"] == "Succeeded"
    refused = execute(stages, *rules, {"policy": "pinned", "requireDigest": True})
    assert "it has no digest" in refused["message"]


def test_a_check_of_the_platform_has_an_image_that_builds_may_not_name(execute, builder):
    rule = {"policy": "golden", "names": [f"{builder.registry.host}/library/debian"]}
    own = {"name": "cves", "kind": "test", "image": builder.names["TINY"], "command": ["/bin/true"]}
    demanded = {**own, "command": ["/bin/sh", "-c", "exit 4"], "policy": "scanned"}
    refused = execute("FROM scratch\nCOPY Dockerfile /\n", rule, verify=[own])
    assert refused["reason"] == "PolicyDenied"
    result = execute("FROM scratch\nCOPY Dockerfile /\n", rule, requiredChecks=[demanded])
    assert result["reason"] == "ImageTestFailed"
    assert "the test cves of the BuildPolicy scanned failed" in result["message"]
    assert result["verification"][0]["policy"] == "scanned"
    assert result["digest"] in result["message"]
    assert builder.tags() == []
