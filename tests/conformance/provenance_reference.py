"""Makes reference provenance: builds cases with a real BuildKit and writes provenance/NAME.json.

    python -m tests.conformance.provenance_reference BUILDKITD BUILDCTL

Needs what `reference` needs. As buildx does, the Dockerfile's name is given. What no two builds share, times,
names of builds, digests and the registry, is replaced by a word.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from strake_oci.attestations import find_attestations, read_statement
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.reference import Reference
from tests.conformance.reference import build, daemon
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

FOUND: Final = Path(__file__).parent / "provenance"
CASES: Final = (
    "arg_before_from",
    "arg_scope_per_stage",
    "copy_from_stage_forms",
    "mount_secret",
    "named_contexts",
    "network_none",
    "onbuild_trigger",
    "run_heredoc_forms",
    "scratch",
    "target_and_unused_stage",
)
MODES: Final = ("min", "max")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_OF_A_BUILD: Final = frozenset({"invocationId", "startedOn", "finishedOn", "size", "data"})


def shared(value: Any, host: str, name: str = "") -> Any:
    """Return a document without what only one build has."""
    if name in _OF_A_BUILD:
        return name
    if isinstance(value, dict):
        return {_word(key, host): shared(each, host, key) for key, each in value.items()}
    if isinstance(value, list):
        return [shared(each, host) for each in value]
    return _word(value, host) if isinstance(value, str) else value


def _word(text: str, host: str) -> str:
    return _HEX.sub("HEX", text.replace(host, "REGISTRY"))


def pushed(client: RegistryClient, image: str, host: str) -> dict[str, Any]:
    """Return the one statement of an image, and the manifests that carry it."""
    reference = Reference.parse(image)
    repository, top = reference.repository, client.resolve(reference).digest
    [found] = find_attestations(client, repository, top)
    documents = {
        "statement": read_statement(client, repository, found.statement),
        "manifest": client.manifest(repository, found.manifest.digest)[1],
        "index": client.manifest(repository, top)[1],
    }
    return {name: shared(json.loads(content), host) for name, content in documents.items()}


def main(buildkitd: str, buildctl: str) -> None:
    """Write what BuildKit attests of each case in each mode."""
    with contextlib.ExitStack() as scope:
        state = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        registry = scope.enter_context(running_registry())
        client = scope.enter_context(registry.client())
        names = {"BASE": f"{registry.host}/library/debian:12", "TINY": f"{registry.host}/library/busybox:1"}
        for word, image in (("BASE", "base"), ("TINY", "tiny")):
            push_image(image, names[word])
        address = scope.enter_context(daemon(buildkitd, buildctl, state, registry.host))
        for name in CASES:
            found = {}
            for mode in MODES:
                destination = f"{registry.host}/result/{name.replace('_', '-')}:1"
                options = (f"attest:provenance=mode={mode}", "filename=Dockerfile")
                if refusal := build(name, names, buildctl, address, destination, options):
                    sys.exit(f"{name}: {refusal}")
                found[mode] = pushed(client, destination, registry.host)
            text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
            FOUND.mkdir(exist_ok=True)
            (FOUND / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
