"""crane, which many pipelines are made of, reads and validates what Strake pushes: indexes, images, attestations."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from strake_oci.spec.platform import host
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.go_tools import crane

HERE, OTHER = ("amd64", "arm64") if host().architecture == "amd64" else ("arm64", "amd64")
CROSS = (
    "FROM --platform=$BUILDPLATFORM TINY AS build\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n"
    "FROM scratch\nCOPY --from=build /arch /arch\n"
)
STATEMENTS = "application/vnd.in-toto+json"


def run(*words: str, home: Path) -> str:
    done = subprocess.run(
        [crane(), *words, "--insecure"],
        capture_output=True,
        text=True,
        timeout=180,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("form", ["referrers", "index"])
def test_an_index_its_images_and_their_attestations(builder: Builder, tmp_path, form):
    builder.context(CROSS)
    flags = [f"--platform=linux/{HERE},linux/{OTHER}", "--provenance=max", f"--attestation-form={form}"]
    done = builder.run(*flags, timeout=240)
    assert done.returncode == 0, done.stderr
    image, digest = builder.destination, done.stdout.strip().rpartition("@")[2]
    assert run("digest", image, home=tmp_path).strip() == digest
    # A statement is no gzip, which crane wants every layer to be; BuildKit's are not either.
    run("validate", f"--remote={image}", *["--fast"] * (form == "index"), home=tmp_path)
    index = json.loads(run("manifest", image, home=tmp_path))
    images = [each for each in index["manifests"] if each["platform"]["os"] == "linux"]
    attested = [each for each in index["manifests"] if each["platform"]["os"] == "unknown"]
    assert [each["platform"]["architecture"] for each in images] == [HERE, OTHER]
    assert len(attested) == (2 if form == "index" else 0)
    repository = image.rpartition(":")[0]
    for each in images:
        # Every layer is read, and each digest, size and diff ID computed.
        run("validate", f"--remote={repository}@{each['digest']}", home=tmp_path)
        config = json.loads(run("config", f"{repository}@{each['digest']}", home=tmp_path))
        assert config["architecture"] == each["platform"]["architecture"]
        if form == "referrers":  # this registry keeps them under a tag
            tag = each["digest"].replace(":", "-")
            attested += json.loads(run("manifest", f"{repository}:{tag}", home=tmp_path))["manifests"]
    for each in attested:
        manifest = json.loads(run("manifest", f"{repository}@{each['digest']}", home=tmp_path))
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == STATEMENTS
        statement = json.loads(run("blob", f"{repository}@{layer['digest']}", home=tmp_path))
        assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
        about = {f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}
        assert about <= {each["digest"] for each in images}
    run("pull", "--format=oci", image, str(tmp_path / "layout"), home=tmp_path)
    (pulled,) = json.loads((tmp_path / "layout/index.json").read_text())["manifests"]
    assert pulled["digest"] == digest
    assert run("export", f"--platform=linux/{OTHER}", image, "-", home=tmp_path).count(OTHER) == 1
