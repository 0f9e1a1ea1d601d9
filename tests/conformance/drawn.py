"""Builds Dockerfiles that nobody wrote, here and with a real BuildKit, and tells where the images differ.

    python -m tests.conformance.drawn BUILDKITD BUILDCTL KIND SEED COUNT

The cases of `cases.py` are what somebody thought of; these are drawn from a number, by what is in `drawing/`. A
difference is printed with its Dockerfile, and is worth a case, or a line in docs/dockerfile.md. Needs what
`reference` needs.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from strake_oci.registry import RegistryClient
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference, Repository
from tests.conformance import reference
from tests.conformance.cases import Case
from tests.conformance.contexts import write_context
from tests.conformance.drawing.commits import CommitsDrawing, make_repositories
from tests.conformance.drawing.files import FilesDrawing
from tests.conformance.drawing.mounts import MountsDrawing
from tests.conformance.drawing.platforms import PlatformsDrawing, push_for_platforms
from tests.conformance.drawing.settings import SettingsDrawing
from tests.conformance.flatten import flatten
from tests.conformance.test_images import Bases, build
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.web import running_web_server
from tests.images.push import push_image

_SMALL: Final = 4096
_SCAN: Final = ("--rootfs", "scan")


class Drawing(Protocol):
    """One drawing, of a number."""

    def __init__(self, seed: int) -> None: ...

    def case(self) -> Case:
        """Draw a case."""
        ...


KINDS: Final[Mapping[str, tuple[type[Drawing], Mapping[str, tuple[str, ...]]]]] = MappingProxyType(
    {
        "files": (FilesDrawing, {"read": (), "cached": ("--cache-dir", "SHARED"), "scan": _SCAN}),
        "commits": (CommitsDrawing, {"read": (), "cached": ("--cache-dir", "OWN")}),
        "platforms": (PlatformsDrawing, {"cached": ("--cache-dir", "SHARED")}),
        "settings": (SettingsDrawing, {"cached": ("--cache-dir", "SHARED")}),
        "mounts": (
            MountsDrawing,
            {"cached": ("--cache-dir", "OWN"), "scan": _SCAN, "nested": ("--isolation", "nested")},
        ),
    }
)
"""What can be drawn, and the ways in which each drawing is built here. A cache directory that all drawings share shows
a cache key that is too short; BuildKit's cache mounts are of a drawing, so the directory must be, too."""


def _outcome(refusal: str, destination: str, scope: Bases) -> dict[str, Any]:
    """Return what came of a build, in the fields of README.md; of an index, those of each image by its platform."""
    if refusal:
        return {"outcome": "failure", "message": refusal}
    with scope.registry.client() as client:
        pushed = Reference.parse(destination)
        descriptor, data = client.manifest(pushed.repository, pushed.tag or "")
        named = parse(data)
        if isinstance(named, Manifest):
            return _image(client, pushed.repository, descriptor.digest, scope)
        found: dict[str, Any] = {"outcome": "success"}
        for entry in named.manifests:
            if entry.platform is not None and entry.platform.os != "unknown":
                image = _image(client, pushed.repository, entry.digest, scope)
                found |= {f"{entry.platform}: {key}": value for key, value in image.items()}
        return found


def _image(client: RegistryClient, repository: Repository, digest: Digest, scope: Bases) -> dict[str, Any]:
    image = flatten(client, repository, digest)
    result = reference.result(image, scope.flat)
    del result["layers_on_base"]
    texts = _texts(client, repository, digest)
    for path, found in [*result["changed"].items()]:
        if path in texts and found["type"] == "file":
            result["changed"][path] = found | {"text": texts[path]}
        if path.endswith("/.git") and found["type"] == "file":
            del result["changed"][path]  # BuildKit leaves them of submodules, which lead to nothing
    document = json.loads(image.config.serialize())
    result["config"].pop("ArgsEscaped", None)
    return result | {
        "hard_links": [group for group in result["hard_links"] if _are_files(result, group)],
        "platform": [document.get(key) for key in ("os", "architecture", "variant", "author")],
        "history": [entry.get("created_by") for entry in document.get("history", [])],
    }


def _texts(client: RegistryClient, repository: Repository, digest: Digest) -> dict[str, str]:
    """Return what small files of an image's own layers hold, to be read where images differ."""
    found = {}
    _, data = client.manifest(repository, digest)
    manifest = parse(data)
    assert isinstance(manifest, Manifest)
    for layer in manifest.layers:
        with (
            client.open_blob(repository, layer) as stream,
            tarfile.open(fileobj=stream, mode="r|*") as tar,
        ):
            for member in tar:
                if member.isreg() and member.size < _SMALL and (content := tar.extractfile(member)):
                    found[f"/{member.name}"] = content.read().decode(errors="backslashreplace")
    return found


def _are_files(result: dict[str, Any], group: list[str]) -> bool:
    """Say whether a group of names is of a file: BuildKit writes other names of a link as links of their own."""
    return all(result["changed"].get(path, {}).get("type") == "file" for path in group)


def _differences(theirs: dict[str, object], ours: dict[str, object]) -> Iterator[str]:
    """Yield what differs between two outcomes, a line each."""
    if theirs["outcome"] != ours["outcome"]:
        yield f"BuildKit: {theirs['outcome']} {theirs.get('message', '')}"
        yield f"Strake:   {ours['outcome']} {ours.get('message', '')}"
        return
    for key in sorted((theirs.keys() | ours.keys()) - {"outcome", "message"}):
        one, other = theirs.get(key), ours.get(key)
        if one == other:
            continue
        if not (isinstance(one, dict) and isinstance(other, dict)):
            yield f"{key}: BuildKit {one}, Strake {other}"
            continue
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                yield f"{key} {name}: BuildKit {one.get(name)}, Strake {other.get(name)}"


class Comparison:
    """Builds drawings of one kind in both ways.

    Args:
        kind: one of KINDS.
        scope: the registry and the base images.
        buildctl: BuildKit's client.
        address: of its daemon.
        cache: a cache directory that all drawings share.

    Attributes:
        images: drawings that BuildKit made an image of.
    """

    def __init__(self, kind: str, scope: Bases, buildctl: str, address: str, cache: Path) -> None:
        self._kind, self._ways = KINDS[kind]
        self._scope = scope
        self._buildctl = buildctl
        self._address = address
        self._cache = cache
        self.images = 0

    def case(self, seed: int) -> Case:
        """Return a drawing."""
        return self._kind(seed).case()

    def differences(self, seed: int) -> list[str]:
        """Return what differs between the images of one drawing."""
        case, host = self.case(seed), self._scope.registry.host
        with tempfile.TemporaryDirectory() as directory:
            context = Path(directory, "context")
            context.mkdir()
            write_context(case, context, self._scope.names)
            theirs = f"{host}/drawn/buildkit:{seed}"
            # of its cache, a step that failed may be a cache hit of one that had as little to copy
            refusal = reference.build_in(context, case, self._buildctl, self._address, theirs, ("no-cache=",))
            expected = _outcome(refusal, theirs, self._scope)
            self.images += not refusal
            found = []
            for way, options in self._ways.items():
                ours = f"{host}/drawn/strake:{seed}-{way}"
                caches = {"SHARED": str(self._cache), "OWN": f"{directory}/cache"}
                flags = [caches.get(option, option) for option in options]
                done = build(case, self._scope, context, ours, "--work-dir", f"{directory}/work", *flags)
                outcome = _outcome(_refusal(done) if done.returncode else "", ours, self._scope)
                if way == "scan" and outcome.keys() == expected.keys():
                    # a file of several names stays one there: `OTHERWISE` of test_images.py
                    outcome["hard_links"] = expected.get("hard_links")
                found += [f"{way}: {line}" for line in _differences(expected, outcome)]
        return found


def _refusal(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    refused = next((number for number, line in enumerate(lines) if "error: " in line), -2)
    return "\n".join(lines[refused : refused + 2])


def main(buildkitd: str, buildctl: str, kind: str, seed: str, count: str) -> None:
    """Compare drawings from a seed on; exit with 1 where images differ."""
    with contextlib.ExitStack() as scope:
        state = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        registry = scope.enter_context(running_registry())
        client = scope.enter_context(registry.client())
        names = {"TINY": f"{registry.host}/library/busybox:1"}
        push_image("tiny", names["TINY"])
        names["MANY"] = push_for_platforms(client, Reference.parse(names["TINY"]))
        parsed = Reference.parse(names["TINY"])
        repositories = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        make_repositories(repositories)
        names["GIT"] = scope.enter_context(running_web_server(repositories, None)).url
        bases = Bases(registry, names, {"TINY": flatten(client, parsed.repository, parsed.tag)})
        address = scope.enter_context(reference.daemon(buildkitd, buildctl, state, registry.host))
        comparison = Comparison(kind, bases, buildctl, address, state / "cache")
        differing = 0
        for number in range(int(seed), int(seed) + int(count)):
            differences = comparison.differences(number)
            if differences:
                differing += 1
                case = comparison.case(number)
                shown = f"{case.args} {case.target}\n{case.dockerfile}{case.files}"
                print(f"--- {number} {shown}", *differences, sep="\n", flush=True)
    print(f"{count} drawings, {comparison.images} images of BuildKit's, {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
