"""What the operator's builds attest without being asked, by the gateway and without one."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.cluster.objects import apply
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import build, finished, manifest
from tests.fixtures.building.builds import STRAKE

SCANNER = """FROM TINY
COPY --chmod=755 <<"end" /scan
#!/bin/sh
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"name":"%s"}}' \\
  "$(cat $BUILDKIT_SCAN_SOURCE/found)" > $BUILDKIT_SCAN_DESTINATION/a.spdx.json
end
CMD ["/scan"]
"""


def attested(image: str, kind: str = "provenance") -> list[dict[str, Any]]:
    """Return the statement of a kind about an image."""
    words: list[str] = [str(STRAKE), "attestations", image, "--insecure", "--print", kind]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180)
    return [json.loads(done.stdout)] if done.returncode == 0 else []


def test_an_image_has_provenance_by_default(namespace):
    status = build(
        namespace,
        "FROM TINY\nARG v\nRUN true\n",
        output={"destinations": [f"{REGISTRY}/e2e/attested:1"]},
        args=[{"name": "v", "value": "never-shown"}],
    )
    assert status["phase"] == "Succeeded", status
    assert status["attestation"].startswith("sha256:")
    [statement] = attested(status["image"])
    assert statement["subject"][0]["digest"] == {"sha256": status["digest"].partition(":")[2]}
    definition = statement["predicate"]["buildDefinition"]
    bases = [each["digest"]["sha256"] for each in definition["resolvedDependencies"]]
    assert bases == [each["digest"].partition(":")[2] for each in status["baseImages"]]
    assert "never-shown" not in json.dumps(statement)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"provenance": "none"}, False),
        ({"provenance": "max", "form": "index"}, True),
    ],
    ids=["none", "in an index"],
)
def test_what_a_spec_asks_for(namespace, asked, shown):
    name = f"{REGISTRY}/e2e/asked-{asked['provenance']}"
    output = {"destinations": [f"{name}:1"], "attestations": asked}
    status = build(namespace, "FROM TINY\nRUN true\n", output=output)
    assert status["phase"] == "Succeeded", status
    assert bool(attested(f"{name}:1")) == shown
    assert ("attestation" in status) == shown
    assert status["image"] == f"{name}@{status['digest']}"


def test_a_scanner_makes_the_sbom_that_a_spec_asks_for(namespace):
    scanner = f"{REGISTRY}/e2e/scanner:1"
    made = build(namespace, SCANNER, output={"destinations": [scanner]})
    assert made["phase"] == "Succeeded", made
    asked = {"destinations": [f"{REGISTRY}/e2e/scanned:1"], "attestations": {"sbom": {"generator": scanner}}}
    apply(manifest("FROM TINY\nRUN echo 7 > /found\n", output=asked), namespace)
    status = finished(namespace, generation=2)
    assert status["phase"] == "Succeeded", status
    [sbom] = attested(status["image"], "sbom")
    assert sbom["predicate"] == {"name": "7"}
    assert sbom["subject"][0]["digest"] == {"sha256": status["digest"].partition(":")[2]}
    assert [each["reference"] for each in status["baseImages"]] != [scanner]
    assert len(attested(status["image"])) == 1
