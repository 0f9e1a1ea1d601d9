"""An image is built again from its provenance: `strake rebuild`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.git_repository import Repository, repository
from tests.images.push import push_image

__all__ = ["repository"]


def rebuild(builder: Builder, what: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words: list[str | Path] = [STRAKE, "rebuild", what, "--insecure-registry", builder.registry.host]
    return run_strake([*words, "--work-dir", builder.work, *flags], builder.environment(), 240)


def provenance(builder: Builder) -> dict[str, Any]:
    words: list[str | Path] = [STRAKE, "attestations", builder.destination, "--insecure"]
    done = run_strake([*words, "--print", "provenance"], builder.environment(), 240)
    return json.loads(done.stdout)


def digest_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().rpartition("@")[2]


def test_the_same_image_though_everything_has_moved(builder: Builder, repository: Repository, tmp_path):
    """The base image's tag, the context's branch and the branch of an ADD move after the build."""
    base = f"{builder.registry.host}/{builder.name}/base:1"
    push_image("tiny", base)
    steps = (
        f"FROM {base} AS one\nARG v\nRUN echo $v > /v\nFROM one AS two\nADD {repository.url}#main:sub /sub/\n"
    )
    repository.commit(**{"sub/Dockerfile": f"{steps}FROM one\n"})
    done = builder.run(
        *("--context", f"git+{repository.url}#main:sub", "--target", "two", "--build-arg", "v=7"),
        *("--reproducible", "--compression", "zstd", "--label", "team=web", "--annotation", "a=b"),
        "--provenance=max",
    )
    wanted = digest_of(done)
    push_image("base", base)
    repository.commit(**{"sub/file": "changed\n", "sub/Dockerfile": "FROM scratch\n"})
    again = rebuild(builder, builder.destination)
    assert (again.returncode, again.stdout) == (0, f"{wanted}\n"), again.stderr
    (tmp_path / "statement.json").write_text(json.dumps(provenance(builder)))
    pushed = f"{builder.registry.host}/{builder.name}/again:1"
    from_file = rebuild(builder, str(tmp_path / "statement.json"), "--destination", pushed)
    assert (from_file.returncode, from_file.stdout) == (0, f"{wanted}\n"), from_file.stderr
    with builder.registry.client() as client:
        repository_of = builder.registry.repository(f"{builder.name}/again")
        assert str(client.manifest(repository_of, "1")[0].digest) == wanted


def test_another_image_is_told(builder: Builder):
    builder.context("FROM TINY\nRUN cat /proc/sys/kernel/random/uuid > /id\n")
    wanted = digest_of(builder.run("--provenance=max", "--reproducible"))
    context = str(builder.directory / "context")
    done = rebuild(builder, builder.destination, "--context", context)
    assert done.returncode == 15, done.stderr
    assert wanted in done.stderr
    assert "what its steps fetch" in done.stderr


def test_times_are_to_blame_where_a_build_was_not_reproducible(builder: Builder):
    builder.context("FROM TINY\nRUN cat /proc/sys/kernel/random/uuid > /id\n")
    digest_of(builder.run("--provenance=max"))
    done = rebuild(builder, builder.destination, "--context", str(builder.directory / "context"))
    assert done.returncode == 15, done.stderr
    assert "its build was not reproducible" in done.stderr


def test_a_directory_is_asked_for(builder: Builder):
    builder.context("FROM TINY\nARG v\nCOPY f /\nRUN echo $v > /v\n", f="f\n")
    wanted = digest_of(builder.run("--provenance=max", "--reproducible", "--build-arg", "v=7"))
    done = rebuild(builder, builder.destination)
    assert done.returncode == 2, done.stderr
    assert "give it with --context DIR" in done.stderr
    same = rebuild(builder, builder.destination, "--context", str(builder.directory / "context"))
    assert (same.returncode, same.stdout) == (0, f"{wanted}\n"), same.stderr


DEFINITION = ("predicate", "buildDefinition")
EXTERNAL = (*DEFINITION, "externalParameters")
INTERNAL = (*DEFINITION, "internalParameters")
SCRATCH = {"uri": "pkg:docker/alpine@3", "digest": {"sha256": "../../etc"}}
PASSWD = {"path": "Dockerfile", "uri": "file:///etc/passwd#", "digest": {"sha1": "0" * 40}}
WRONG: dict[str, tuple[tuple[str, ...], object, str]] = {
    "another predicate": (("predicateType",), "https://spdx.dev/Document", "no SLSA provenance"),
    "another build": ((*DEFINITION, "buildType"), "https://a.example", "no build of a Dockerfile"),
    "the mode min": ((*INTERNAL, "buildConfig"), None, "it lacks arguments"),
    "no platform": ((*INTERNAL, "targetPlatform"), None, "targetPlatform"),
    "a platform that is none": ((*INTERNAL, "targetPlatform"), "../..", "images for ../.. cannot"),
    "no predicate": (("predicate",), None, "lacks what a build needs"),
    "a digest that is none": ((*DEFINITION, "resolvedDependencies"), [SCRATCH], "lacks what a build needs"),
    "a file of this machine": ((*EXTERNAL, "configSource"), PASSWD, "file"),
    "a masked argument": (
        (*EXTERNAL, "request", "args"),
        {"build-arg:token": "xxxxx"},
        "--build-arg token=VALUE",
    ),
    "a context of a disk": (
        (*EXTERNAL, "request", "args"),
        {"context:lib": "local:lib"},
        "the named context lib was on a disk",
    ),
    "a number for the arguments": ((*EXTERNAL, "request", "args"), 7, "lacks what a build needs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_provenance_that_tells_no_build_is_refused(builder: Builder, tmp_path, name):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    digest_of(builder.run("--provenance=max", "--reproducible"))
    statement = provenance(builder)
    path, value, words = WRONG[name]
    at: Any = statement
    for part in path[:-1]:
        at = at[part]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    (tmp_path / "statement.json").write_text(json.dumps(statement))
    context = () if name == "a file of this machine" else ("--context", str(builder.directory / "context"))
    done = rebuild(builder, str(tmp_path / "statement.json"), *context)
    assert done.returncode not in {0, 1, 15}, done.stderr
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_without_provenance(builder: Builder):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    digest_of(builder.run())
    done = rebuild(builder, builder.destination)
    assert done.returncode == 2
    assert "has no attestation of provenance" in done.stderr
