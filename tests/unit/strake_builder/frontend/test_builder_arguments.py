"""Build arguments for the builder: what they change, and what is told of those that change nothing."""

from __future__ import annotations

import pytest

from strake_builder.errors import InvalidRequestError
from strake_builder.frontend import BaseImage, evaluate, parse, plan
from strake_builder.frontend.builder_arguments import refuse_wrong, without_effect
from strake_builder.frontend.lint import fails_on_warnings, lint
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform

AMD64 = Platform("linux", "amd64")


def only_step(dockerfile: str, **build_args: str):
    planned = plan(
        parse(dockerfile), target=None, build_args=build_args, platform=AMD64, build_platform=AMD64
    )
    [step] = evaluate(planned, planned.target_stage, BaseImage(RuntimeConfig())).steps
    return step


@pytest.mark.parametrize(
    ("given", "name"), [({}, "buildkitsandbox"), ({"BUILDKIT_SANDBOX_HOSTNAME": "ci"}, "ci")]
)
def test_the_host_name_is_buildkits_or_what_is_given(given, name):
    assert only_step("FROM a\nRUN x", **given).hostname == name


@pytest.mark.parametrize(("namespace", "identifier"), [("", "/root/.cache"), ("team", "team//root/.cache")])
def test_cache_mounts_are_in_a_namespace(namespace, identifier):
    step = only_step(
        "FROM a\nRUN --mount=type=cache,target=/root/.cache x", BUILDKIT_CACHE_MOUNT_NS=namespace
    )
    assert step.mounts[0].id == identifier


def test_the_argument_counts_over_the_directive_of_the_file():
    dockerfile = parse("# check=skip=all\nFrom a\nRUN x")
    checked = {"BUILDKIT_DOCKERFILE_CHECK": "error=true"}
    assert lint(dockerfile) == ()
    assert [found.rule.name for found in lint(dockerfile, build_args=checked)] == [
        "ConsistentInstructionCasing"
    ]
    assert not fails_on_warnings(dockerfile)
    assert fails_on_warnings(dockerfile, checked)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUILDKIT_SANDBOX_HOSTNAME", "a b"),
        ("BUILDKIT_SANDBOX_HOSTNAME", "a\n127.0.0.1 registry.example"),
        ("BUILDKIT_SANDBOX_HOSTNAME", "a" * 65),
        ("BUILDKIT_SANDBOX_HOSTNAME", "-a"),
        ("BUILDKIT_DOCKERFILE_CHECK", "errors=true"),
    ],
)
def test_values_that_cannot_be_are_refused(name, value):
    with pytest.raises(InvalidRequestError, match=f"the build argument {name}"):
        refuse_wrong({name: value})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BUILDKIT_INLINE_CACHE", "1", "--cache-repo"),
        ("BUILDKIT_INLINE_CACHE", "0", None),
        ("BUILDKIT_MULTI_PLATFORM", "true", "--platform A,B"),
        ("BUILDKIT_SYNTAX", "docker/dockerfile:1", "no frontend"),
        ("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "1", "?keep-git-dir=1"),
        ("BUILDKIT_ATTEST_SBOM", "generator=x", "--sbom"),
        ("BUILDKIT_DISABLE_ONBUILD", "1", "neither this builder nor BuildKit"),
        ("BUILDKIT_SBOM_SCAN_STAGE", "true", None),
        ("BUILDKIT_BUILD_NAME", "x", None),
        ("BUILDKIT_GIT_ADVICE", "1", None),
        ("BUILDKIT_SANDBOX_HOSTNAME", "x", None),
        ("VERSION", "1", None),
    ],
)
def test_what_has_no_effect_is_told(name, value, told):
    sentences = without_effect({name: value})
    assert (told is None) == (sentences == ())
    assert all(f"{name} has no effect" in each and str(told) in each for each in sentences)
    assert without_effect({name: value}, {name}) == ()
