"""What is attested of whole images, against what BuildKit attests of the same: docs/attestations.md lists the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import CASES
from tests.conformance.contexts import write_context
from tests.conformance.provenance_reference import CASES as NAMES
from tests.conformance.provenance_reference import FOUND, MODES, pushed
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

PAGE = Path(__file__).parents[2] / "docs/attestations.md"


def listed() -> list[str]:
    """Return the fields that the page says are other than BuildKit's: the first column of its last table."""
    table = PAGE.read_text().partition("## What is other than BuildKit's")[2]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    return [row.strip("`") for row in rows]


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        push_image("base", f"{running.host}/library/debian:12")
        push_image("tiny", f"{running.host}/library/busybox:1")
        yield running


@pytest.fixture(scope="module")
def differences(registry, tmp_path_factory) -> dict[str, set[str]]:
    """Build every case in every mode; return the fields that differ, by case."""
    found: dict[str, set[str]] = {}
    cache = tmp_path_factory.mktemp("cache")
    names = {"BASE": f"{registry.host}/library/debian:12", "TINY": f"{registry.host}/library/busybox:1"}
    for name in NAMES:
        directory = tmp_path_factory.mktemp(name)
        write_context(CASES[name], directory, names)
        reference = json.loads((FOUND / f"{name}.json").read_text())
        for mode in MODES:
            image = f"{registry.host}/result/{name.replace('_', '-')}:1"
            command: list[object] = [STRAKE, "build", "-c", directory, "-d", image, "--cache-dir", cache]
            command += ["--insecure-registry", registry.host, f"--provenance={mode}", "--no-cache"]
            command += ["--attestation-form=index", "--work-dir", directory.with_suffix(".work")]
            command += [word for argument in CASES[name].args for word in ("--build-arg", argument)]
            command += ["--target", CASES[name].target] if CASES[name].target else []
            for context in CASES[name].contexts:
                command += ["--build-context", f"{context}={directory}/{context}"]
            for secret, value in CASES[name].secrets.items():
                (directory.with_suffix(f".{secret}")).write_text(value)
                command += ["--secret", f"id={secret},src={directory.with_suffix(f'.{secret}')}"]
            done = run_strake(list(map(str, command)))
            assert done.returncode == 0, done.stderr
            with registry.client() as client:
                ours = pushed(client, image, registry.host)
            found[f"{name}.{mode}"] = set(different(ours, reference[mode]))
    return found


def different(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what is in one alone, or is not the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours.keys() | theirs.keys():
            below = f"{path}.{name}" if path else name
            if name not in ours or name not in theirs:
                yield below
            else:
                yield from different(ours[name], theirs[name], below)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, other in zip(ours, theirs, strict=True):
            yield from different(one, other, f"{path}[]")
    elif ours != theirs:
        yield path


def covered(path: str, rows: list[str]) -> bool:
    return any(path == row or path.startswith((f"{row}.", f"{row}[]")) for row in rows)


@pytest.mark.parametrize("name", [f"{name}.{mode}" for name in NAMES for mode in MODES])
def test_what_differs_is_on_the_page(differences, name):
    assert sorted(path for path in differences[name] if not covered(path, listed())) == []


def test_what_is_on_the_page_differs(differences):
    every = set().union(*differences.values())
    assert [row for row in listed() if not any(covered(path, [row]) for path in every)] == []
