"""Whole images against what the reference built from the same Dockerfiles (README.md)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from strake_oci.spec.reference import Reference
from tests.conformance.cases import CASES, Case
from tests.conformance.contexts import write_context
from tests.conformance.flatten import Flat, compared, flatten
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.images.push import push_image

EXPECTED = Path(__file__).parent / "expected"
KINDS = ("overlay", "scan")
OTHERWISE: dict[tuple[str, str], dict] = {
    # One file under two names stays one file: overlay parts the names when it copies one of them up, and
    # the reference uses overlay. On a plain file system, writing to /h/1 writes to /h/2 as well.
    ("scan", "hardlinks_across_layers"): {
        "content": {"/h/2": b"a\nb\n", "/h/3": b"a\nb\n"},
        "hard_links": [["/h/2", "/h/3"]],
    },
}
"""What a backend does otherwise than the reference, by its nature. Neither refuses any case."""


@dataclass(frozen=True)
class Bases:
    registry: LocalRegistry
    names: dict[str, str]
    flat: dict[str, Flat]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    with running_registry(root=tmp_path_factory.mktemp("registry")) as registry, registry.client() as client:
        names = {"BASE": f"{registry.host}/library/debian:12", "TINY": f"{registry.host}/library/busybox:1"}
        flat = {}
        for word, image in (("BASE", "base"), ("TINY", "tiny")):
            push_image(image, names[word])
            reference = Reference.parse(names[word])
            flat[word] = flatten(client, reference.repository, reference.tag)
        yield Bases(registry, names, flat)


@pytest.fixture
def work(kind, tmp_path):
    """Where a build works: for `scan` in memory, as ext4 is slow to make files where thousands just went."""
    if kind == "overlay":
        yield tmp_path / "work"
        return
    with tempfile.TemporaryDirectory(prefix="strake-conformance-", dir="/dev/shm") as directory:
        yield Path(directory, "work")


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Unpacked base images, shared by all cases of a backend: unpacking Debian a hundred times proves nothing.

    A backend must not find what the other one built.
    """
    return {kind: tmp_path_factory.mktemp(f"cache-{kind}") for kind in KINDS}


def build(
    case: Case, bases: Bases, context: Path, destination: str, *flags: object
) -> subprocess.CompletedProcess[str]:
    command = [STRAKE, "build", "--context", context, "--destination", destination, "--log-format", "text"]
    command += ["--insecure-registry", bases.registry.host, *flags]
    for argument in case.args:
        command += ["--build-arg", argument]
    if case.target:
        command += ["--target", case.target]
    if case.platforms:
        command += ["--platform", ",".join(case.platforms)]
    command += [f"--build-context={name}={context}/{name}" for name in case.contexts]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    for name, value in case.secrets.items():
        command += ["--secret", f"id={name},env=SECRET_{name}"]
        environment[f"SECRET_{name}"] = value
    return run_strake(command, environment)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_image_is_the_reference_image(name, kind, work, bases, caches, tmp_path):
    case = CASES[name]
    expected = expected_of(name, kind)
    context = tmp_path / "context"
    context.mkdir()
    write_context(case, context, bases.names)
    destination = f"{bases.registry.host}/result/{name.replace('_', '-')}:{kind}"
    flags = ("--work-dir", work, "--cache-dir", caches[kind], "--rootfs", kind)
    done = build(case, bases, context, destination, *flags)
    assert not list(work.glob("*")), "the build left something behind"
    if expected["outcome"] == "failure":
        assert done.returncode in range(2, 8), done.stdout + done.stderr
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    again = build(case, bases, context, destination, *flags)
    assert again.stdout == done.stdout, "the same image from the cache"
    check_image(destination, expected, bases)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "RUN" not in case.dockerfile])
def test_image_over_a_base_that_is_only_read(name, bases, tmp_path):
    """Without a cache a base that no step runs in is not unpacked."""
    case, expected = CASES[name], expected_of(name, "overlay")
    context = tmp_path / "context"
    context.mkdir()
    write_context(case, context, bases.names)
    destination = f"{bases.registry.host}/result/{name.replace('_', '-')}:read"
    done = build(case, bases, context, destination, "--work-dir", tmp_path / "work")
    if expected["outcome"] == "failure":
        assert done.returncode in range(2, 8), done.stdout + done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    check_image(destination, expected, bases)


def check_image(destination: str, expected: dict, bases: Bases) -> None:
    with bases.registry.client() as client:
        reference = Reference.parse(destination)
        image = flatten(client, reference.repository, reference.tag)
    base = bases.flat.get(expected["base"] or "", Flat(image.config, 0))
    assert config_of(image) == expected["config"]
    assert changed_paths(image, base) == expected_paths(expected, base, bases)
    assert sorted(p for p in base.paths if p not in image.paths and compared(p)) == sorted(
        expected["removed"]
    )
    groups = {group for group in image.link_groups() if group & set(expected["changed"])}
    assert groups == {frozenset(group) for group in expected["hard_links"]}


def expected_of(name: str, kind: str) -> dict:
    expected = json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))
    otherwise = OTHERWISE.get((kind, name), {})
    for path, content in otherwise.get("content", {}).items():
        digest = hashlib.sha256(content).hexdigest()
        expected["changed"][path] |= {"size": len(content), "sha256": digest}
    return expected | {key: value for key, value in otherwise.items() if key != "content"}


def config_of(image: Flat) -> dict:
    document = json.loads(image.config.serialize())["config"]
    document = {key: value for key, value in document.items() if value not in (None, "", [], {})}
    if "Env" in document:
        document["Env"] = sorted(document["Env"])
    return document


def changed_paths(image: Flat, base: Flat) -> dict[str, dict]:
    """Paths that are new or differ from the base, but for the Dockerfile, which names this run's registry."""
    return {
        path: found
        for path, found in image.paths.items()
        if compared(path) and base.paths.get(path) != found and not path.endswith("/Dockerfile")
    }


def expected_paths(expected: dict, base: Flat, bases: Bases) -> dict[str, dict]:
    return {
        path: {key: value for key, value in found.items() if key != "text"}
        for path, found in expected["changed"].items()
        if not path.endswith("/Dockerfile")
    }
