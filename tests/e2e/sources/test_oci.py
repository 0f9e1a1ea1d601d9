"""A context that a registry has as an artifact, in a cluster."""

from __future__ import annotations

import gzip

from strake_oci.spec.reference import Reference
from tests.cluster.settings import DIR, REGISTRY
from tests.e2e.builds import build
from tests.e2e.conftest import TINY
from tests.fixtures.content.artifacts import FLUX, archive, push_artifact
from tests.fixtures.servers.registry import LocalRegistry


def test_an_artifact_is_a_context_and_what_stands_in(platform, namespace):
    reference = Reference.parse(f"{REGISTRY}/{namespace}/context:1")
    dockerfile = f"FROM {TINY}\nCOPY app /app\nCOPY --from=lib /app/motd /\nRUN cat /motd\n"
    files = archive({"app/Dockerfile": dockerfile, "app/app": "x\n", "app/motd": "hi\n"})
    with LocalRegistry(REGISTRY, DIR / "registry").client() as client:
        pushed = push_artifact(client, reference, (FLUX, gzip.compress(files), {}))
    by_digest = f"{reference.repository}@{pushed.digest}"
    status = build(
        namespace,
        "",
        source={"oci": {"reference": str(reference), "path": "app"}},
        contexts=[{"name": "lib", "oci": {"reference": by_digest}}],
    )
    assert status["phase"] == "Succeeded", status
