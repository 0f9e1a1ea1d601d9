"""The reference results, as far as the frontend alone decides them: configuration and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from strake_builder.frontend import BaseImage, DockerfileRefusedError, evaluate, parse, plan
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.named_contexts import FilesContext, NamedContexts
from strake_builder.frontend.model.planned import ContextBase, ImageBase, ScratchBase, StageBase
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform
from tests.conformance.cases import CASES, Case, Hard, Link, Tar, Text

EXPECTED = Path(__file__).parent / "expected"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IMAGES = {
    "registry.test/base:1": RuntimeConfig(env=(PATH,), cmd=("bash",)),
    "registry.test/tiny:1": RuntimeConfig(env=(PATH,), cmd=("sh",)),
}
AMD64 = Platform("linux", "amd64")

# What the frontend refuses, and what its message must say. All other failures need files or processes.
REFUSED = {
    "env_required_missing": ("missing: must be given", 2, "required-variable"),
    "instruction_before_from": ("before the first FROM", 1, "instruction-before-from"),
    "missing_arguments": ("COPY requires at least two arguments", 2, "missing-argument"),
    "no_stage": ("no stages to build", 2, "no-stage"),
    "target_unknown": ("target stage 'b' could not be found", 1, "unknown-target"),
    "unknown_flag": ("unknown flag: --what", 2, "unknown-flag"),
    "unknown_instruction": ("did you mean RUN?", 2, "unknown-instruction"),
    "unterminated_heredoc": ("unterminated heredoc", 2, "unterminated-heredoc"),
}
RAN = {
    "ignored_behind_link",
    "ignored_behind_wildcard",
    "ignored_directory_of_nothing",
    "ignored_link",
    "parents_excluded",
    "wildcard_in_no_directory",
    "add_wildcard_in_no_directory",
    "parents_of_nothing",
    "copy_dir_over_file",
    "copy_link_out_of_context",
    "copy_missing",
    "ignored_file_is_missing",
    "mount_secret_required",
    "run_failure",
    "run_missing_program",
    "user_unknown",
    "workdir_onto_a_file",
    "workdir_user_no_passwd",
}


def expected(name: str) -> dict:
    return json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))


def build(case: Case) -> EvaluatedStage:
    text = re.sub(r"\bBASE\b", "registry.test/base:1", case.dockerfile)
    text = re.sub(r"\bTINY\b", "registry.test/tiny:1", text)
    arguments = dict(argument.split("=", 1) for argument in case.args)
    planned = plan(
        parse(text),
        target=case.target or None,
        build_args=arguments,
        platform=AMD64,
        build_platform=AMD64,
        contexts=NamedContexts({name: FilesContext() for name in case.contexts}),
    )
    done: dict[int, EvaluatedStage] = {}
    base: BaseImage | EvaluatedStage | None
    for stage in planned.stages:
        match stage.base:
            case ImageBase(reference):
                base = BaseImage(IMAGES[reference])
            case StageBase(index):
                base = done[index]
            case ScratchBase() | ContextBase():
                base = None
        done[stage.index] = evaluate(planned, stage, base)
    return done[planned.target]


def wire(config: RuntimeConfig) -> dict:
    """The configuration in the form of the reference results: empty values left out, Env sorted."""
    health = config.healthcheck
    full: dict[str, Any] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": sorted(config.env),
        "Entrypoint": list(config.entrypoint or ()),
        "Cmd": list(config.cmd or ()),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Healthcheck": {"Test": list(health.test)} if health else None,
        "Shell": list(config.shell or ()),
        "OnBuild": list(config.on_build),
    }
    return {key: value for key, value in full.items() if value}


def test_every_failure_is_accounted_for():
    failures = {name for name in CASES if expected(name)["outcome"] == "failure"}
    assert failures == REFUSED.keys() | RAN


@pytest.mark.parametrize("name", sorted(set(CASES) - REFUSED.keys() - RAN))
def test_config_is_the_reference(name):
    assert wire(build(CASES[name]).config) == expected(name)["config"]


@pytest.mark.parametrize("name", sorted(RAN))
def test_is_left_to_the_execution(name):
    assert build(CASES[name]).steps


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_is_refused_with_place_and_code(name):
    message, line, code = REFUSED[name]
    with pytest.raises(DockerfileRefusedError) as caught:
        build(CASES[name])
    (problem,) = caught.value.problems
    assert (problem.line, problem.code) == (line, code)
    assert message in str(caught.value)
    assert f"Dockerfile:{line}:" in str(caught.value)


def _paths(case: Case) -> list[str]:
    """Every path of a case's context, directories included, as the reference's build saw it."""
    found: set[str] = {"Dockerfile"}
    for path, content in case.files.items():
        assert content is None or isinstance(content, str | Link | Hard | Text | Tar)
        parts = path.split("/")
        found |= {"/".join(parts[: i + 1]) for i in range(len(parts))}
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ignore_patterns", ".dockerignore"),
        ("ignore_everything_but", ".dockerignore"),
        ("ignore_file_named_after_dockerfile", "Dockerfile.dockerignore"),
    ],
)
def test_ignore_file_leaves_what_the_reference_copied(name, file):
    case = CASES[name]
    matcher = IgnoreMatcher.parse(case.files[file])
    kept = {path for path in _paths(case) if not matcher.ignores(path)}
    # A directory that is ignored comes back when something below it is kept.
    kept |= {parent for path in kept for parent in _parents(path)}
    copied = {path.removeprefix("/w/") for path in expected(name)["changed"] if path != "/w"}
    assert kept - {"Dockerfile.dockerignore"} == copied


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]
