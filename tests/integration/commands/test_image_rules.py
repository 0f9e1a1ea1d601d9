"""What a platform's rules about images forbid, wherever a Dockerfile names one."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.integration.commands.test_sign_and_verify import OTHER
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC


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


@pytest.fixture
def base(builder, tmp_path):
    """Build a base image, signed with a key or not; return its name."""

    def built(name: str, *, signed: bool, platforms: str = "", content: str = "base") -> str:
        image = f"{builder.destination.rpartition(':')[0]}/{name}:1"
        context = builder.context(f"FROM scratch\nCOPY Dockerfile /{content}\n")
        (tmp_path / "cosign.key").write_bytes(KEY)
        flags = ["--sign-key", str(tmp_path / "cosign.key")] if signed else []
        flags += ["--platform", platforms] if platforms else []
        words = [STRAKE, "build", "-c", context, "-d", image, "--work-dir", builder.work, *flags]
        words += ["--insecure-registry", builder.registry.host]
        done = run_strake(words, builder.environment() | {"COSIGN_PASSWORD": PASSWORD.decode()})
        assert done.returncode == 0, done.stderr
        return image

    return built


SIGNED = {"policy": "signed", "signedBy": [OTHER, PUBLIC.decode()]}


@pytest.mark.parametrize("platforms", ["", "linux/amd64,linux/arm64"])
def test_a_base_that_a_key_of_the_policy_signed_is_built_on(execute, base, platforms):
    name = base("signed", signed=True, platforms=platforms)
    assert execute(f"FROM {name}\nCOPY Dockerfile /\n", SIGNED)["outcome"] == "Succeeded"
    refused = execute(f"FROM {name}\n", {"policy": "others", "signedBy": [OTHER]})
    assert refused["reason"] == "PolicyDenied"


@pytest.mark.parametrize("line", ["FROM {name}", "FROM scratch\nCOPY --from={name} /base /"])
def test_one_that_none_of_them_signed_is_refused_before_a_step(execute, base, builder, line):
    name = base("unsigned", signed=False)
    result = execute(line.format(name=name) + "\n", SIGNED)
    assert result["reason"] == "PolicyDenied"
    assert f"BuildPolicy signed forbids the image {name}: none of its keys signed" in result["message"]
    assert "strake verify" in result["message"]
    assert builder.left_behind() == []


def test_a_tag_that_moved_to_another_image_is_refused(execute, base):
    """What is verified is the digest that is pulled."""
    name = base("moved", signed=True)
    assert base("moved", signed=False, content="other") == name
    assert execute(f"FROM {name}\nCOPY Dockerfile /\n", SIGNED)["reason"] == "PolicyDenied"


def test_a_key_that_is_none_is_refused(execute, base):
    broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    result = execute(f"FROM {base('any', signed=True)}\n", {"policy": "odd", "signedBy": [broken]})
    assert result["reason"] == "PolicyDenied"
    assert "BuildPolicy odd has a key in baseImages.signedBy that cannot be used" in result["message"]
