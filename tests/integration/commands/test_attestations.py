"""Provenance as a person asks for it and looks at it: `strake build --provenance`, `strake attestations`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from strake_oci.attestations import PROVENANCE
from strake_oci.stores.layout import Layout
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.signing import running_referrers_registry

STEPS = "FROM TINY\nARG version\nCOPY app /app\nRUN --network=none echo $version > /v\n"


def build(builder: Builder, *flags: str) -> subprocess.CompletedProcess[str]:
    builder.context(STEPS, app="app\n")
    return builder.run("--reproducible", "--build-arg", "version=7", *flags)


def ask(builder: Builder, image: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words: list[str | Path] = [STRAKE, "attestations", image, "--insecure", *flags]
    return run_strake(words, builder.environment(), 180)


def printed(builder: Builder, image: str) -> dict[str, Any]:
    done = ask(builder, image, "--print", "provenance")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_attested_by_default(builder):
    done = build(builder)
    assert done.returncode == 0, done.stderr
    assert builder.tags() == ["1"]
    listed = ask(builder, builder.destination)
    assert (listed.returncode, listed.stdout) == (0, "")
    missing = ask(builder, builder.destination, "--print", "provenance")
    assert missing.returncode == 2
    assert "has no attestation of provenance" in missing.stderr


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        (["--provenance=min"], "min"),
        (["--provenance", "max"], "max"),
        (["--provenance=true"], "max"),
        (["--provenance=mode=min"], "min"),
        (["--attest", "type=provenance,mode=min"], "min"),
        (["--attest", "type=provenance"], "max"),
    ],
)
def test_provenance_lies_beside_the_image_whose_digest_stays(builder, flags, mode):
    before = build(builder).stdout
    done = build(builder, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == before
    digest = done.stdout.strip().partition("@")[2]
    statement = printed(builder, builder.destination)
    assert [each["digest"] for each in statement["subject"]] == [{"sha256": digest.partition(":")[2]}]
    definition = statement["predicate"]["buildDefinition"]
    assert ("args" in definition["externalParameters"]["request"]) == (mode == "max")
    listed = ask(builder, builder.destination).stdout
    assert listed.startswith(f"{PROVENANCE} of {digest} (referrers) sha256:")


def test_an_index_holds_the_image_and_its_provenance(builder, tmp_path):
    before = build(builder).stdout.strip().partition("@")[2]
    files = ("--output", f"type=oci,dest={tmp_path}/layout,tar=false", "--digest-file", f"{tmp_path}/digest")
    done = build(builder, "--provenance=max", "--attestation-form=index", *files)
    assert done.returncode == 0, done.stderr
    top = done.stdout.strip().partition("@")[2]
    assert (tmp_path / "digest").read_text() == top != before
    assert f"of {before} (index) sha256:" in ask(builder, builder.destination).stdout
    layout = Layout(tmp_path / "layout")
    assert str(layout.resolve("1").digest) == top
    index = json.loads(layout.manifest(layout.resolve("1")))
    image, attestation = index["manifests"]
    assert image["digest"] == before
    assert attestation["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert attestation["annotations"] == {
        "vnd.docker.reference.digest": before,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    steps = printed(builder, builder.destination)["predicate"]["runDetails"]["metadata"]
    made = [layers[0][-1]["digest"] for layers in steps["buildkit_metadata"]["layers"].values()]
    with builder.registry.client() as client:
        repository = builder.registry.repository(builder.name)
        layers = json.loads(client.manifest(repository, before)[1])["layers"]
    assert made == [each["digest"] for each in layers]
    assert builder.built().paths["/v"]["size"] == 2, "the index is pulled as its image"


def test_a_registry_with_the_referrers_api_lists_it(tmp_path):
    with running_referrers_registry() as registry:
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        image = f"{registry.host}/app:1"
        command = [STRAKE, "build", "-c", tmp_path, "-d", image, "--work-dir", tmp_path / "work"]
        done = run_strake([*command, "--insecure-registry", registry.host, "--provenance=min"])
        assert done.returncode == 0, done.stderr
        with registry.client() as client:
            assert client.tags(registry.repository("app")) == ("1",), "no tag is needed to list it"
        words: list[str | Path] = [STRAKE, "attestations", image, "--insecure"]
        listed = run_strake(words).stdout
    digest = done.stdout.strip().partition("@")[2]
    assert listed.startswith(f"{PROVENANCE} of {digest} (referrers) sha256:")


WRONG = {
    "a field of the other": (["--attest", "type=sbom,mode=max"], "'mode=max' is not understood"),
    "two scanners": (["--sbom", "--attest", "type=sbom,generator=a"], "in two ways that differ"),
    "an SBOM that lies nowhere": (["--no-push", "--sbom"], "the attestation goes nowhere"),
    "another type": (["--attest", "type=x"], "the type 'x' is not known"),
    "another mode": (["--provenance=full"], "is not understood"),
    "two modes": (["--provenance=min", "--attest", "type=provenance"], "in two ways that differ"),
    "a form of nothing": (["--attestation-form=index"], "nothing is attested"),
    "nowhere": (["--no-push", "--provenance=min"], "the attestation goes nowhere"),
    "in an archive for Docker": (
        ["--provenance=min", "--attestation-form=index", "--tar-path", "x.tar"],
        "holds an image, and no index",
    ),
    "of Docker's media types": (
        ["--provenance=min", "--attestation-form=index", "--media-types=docker"],
        "need OCI media types",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_before_the_build(builder, name):
    flags, words = WRONG[name]
    done = build(builder, *flags)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert builder.tags() == []


REFUSALS: dict[str, dict[str, Any]] = {
    "no artifacts": {"error": "MANIFEST_INVALID", "path": "/manifests/sha256:", "skip": 1},
    "no tag for the list": {"error": "TAG_INVALID", "path": "/manifests/sha256-"},
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("required", [True, False])
def test_a_registry_that_takes_none(tmp_path, name, required):
    """What was asked for fails the build, before a tag is there; the default of a cluster is a warning."""
    with FaultyRegistry() as registry:
        registry.add(faults.status(400, method="PUT", times=9, **REFUSALS[name]))
        request = {
            "source": {"inline": {"files": {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}}},
            "output": {
                "destinations": [f"{registry.host}/app:1"],
                "attestations": {"required": required},
            },
            "registries": {"hosts": {registry.host: {"insecure": True}}},
            "workDirectory": str(tmp_path / "work"),
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        run_strake(
            [STRAKE, "execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        )
        result = json.loads((tmp_path / "result.json").read_text())
        tagged = any(each.command == "PUT" and each.path.endswith("/manifests/1") for each in registry.seen)
    if required:
        assert (result["outcome"], tagged) == ("Failed", False)
        assert f"cannot push to {registry.host}/app" in result["message"]
    else:
        assert (result["outcome"], tagged, result.get("attestation")) == ("Succeeded", True, None)
        assert "takes no attestations" in result["warnings"][0]["message"]
