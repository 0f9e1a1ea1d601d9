"""An SBOM as a person asks for it: `strake build --sbom`, with scanners that follow BuildKit's protocol."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from strake_oci.attestations import PROVENANCE, SPDX
from strake_oci.spec.manifest import Manifest, parse
from tests.faults import faults
from tests.faults.registry import Exchange, FaultyRegistry
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake

SCANNER = r"""
set -eu
scan() {
  {
    printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",'
    printf '"subject":[{"name":"forged","digest":{"sha256":"00"}}],"predicate":{"spdxVersion":"SPDX-2.3",'
    printf '"name":"%s","files":[' "${1##*/}"
    (cd "$1" && find . -type f ! -path './bin/*' | sort | sed 's/.*/{"fileName":"&"}/' | paste -sd, -)
    printf ']}}'
  } > "$BUILDKIT_SCAN_DESTINATION/${1##*/}.spdx.json"
}
touch /tmp/scratch "$PWD/here" 2>/dev/null || true
scan "$BUILDKIT_SCAN_SOURCE"
for each in ${BUILDKIT_SCAN_SOURCE_EXTRAS:+"$BUILDKIT_SCAN_SOURCE_EXTRAS"/*}; do scan "$each"; done
"""
STEPS = "FROM TINY\nCOPY app /app\nRUN echo 7 > /v\n"


@pytest.fixture
def scanner(builder: Builder):
    """Return what pushes a scanner that runs a script, and returns its name."""

    def push(script: str = SCANNER, more: str = "") -> str:
        image = f"{builder.registry.host}/scanner/{uuid.uuid4().hex}:1"
        context = builder.directory / f"scanner-{uuid.uuid4().hex}"
        context.mkdir()
        (context / "scan").write_text(script)
        tiny = builder.names["TINY"]
        (context / "Dockerfile").write_text(
            f'FROM {tiny}\nCOPY scan /scan\n{more}ENTRYPOINT ["/bin/sh"]\nCMD ["/scan"]\n'
        )
        words: list[str | Path] = [
            STRAKE,
            "build",
            "-c",
            context,
            "-d",
            image,
            "--work-dir",
            context / "work",
        ]
        done = run_strake(
            [*words, "--insecure-registry", builder.registry.host], builder.environment(), timeout=240
        )
        assert done.returncode == 0, done.stderr
        return image

    return push


def build(builder: Builder, *flags: str, steps: str = STEPS) -> subprocess.CompletedProcess[str]:
    builder.context(steps, app="app\n")
    return builder.run("--reproducible", *flags)


def statements(builder: Builder, kind: str = "sbom") -> list[dict[str, Any]]:
    words: list[str | Path] = [STRAKE, "attestations", builder.destination, "--insecure", "--print", kind]
    done = run_strake(words, builder.environment(), 240)
    assert done.returncode == 0, done.stderr
    decoder, text, found = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].strip()
    return found


def files_of(statement: dict[str, Any]) -> set[str]:
    return {each["fileName"] for each in statement["predicate"]["files"]}


@pytest.mark.parametrize("isolation", ["root", "nested", "chroot"])
def test_it_tells_what_is_in_the_image_whose_digest_stays(builder, scanner, tmp_path, isolation):
    before = build(builder).stdout
    generator, metadata = scanner(), tmp_path / "metadata"
    done = build(
        builder,
        f"--sbom=generator={generator}",
        f"--isolation={isolation}",
        "--provenance=max",
        f"--metadata-file={metadata}",
    )
    assert done.returncode == 0, done.stderr
    assert f"scan for an SBOM with {generator}" in done.stderr
    assert done.stdout == before
    digest = done.stdout.strip().partition(":")[2].rpartition(":")[2]
    [sbom] = statements(builder)
    assert sbom["predicateType"] == SPDX
    assert [each["digest"] for each in sbom["subject"]] == [{"sha256": digest}]
    assert {"./app", "./v"} <= files_of(sbom)
    [provenance] = statements(builder, "provenance")
    assert "scanner" not in json.dumps(provenance)
    assert "scanner" not in json.dumps(json.loads(metadata.read_text()).get("baseImages", []))
    assert builder.left_behind() == []


def test_an_index_holds_both_statements_in_one_manifest(builder, scanner):
    done = build(
        builder,
        "--attest",
        f"type=sbom,generator={scanner()}",
        "--provenance=min",
        "--attestation-form=index",
    )
    assert done.returncode == 0, done.stderr
    with builder.registry.client() as client:
        repository = builder.registry.repository(builder.name)
        index = json.loads(client.manifest(repository, "1")[1])
        descriptor, data = client.manifest(repository, index["manifests"][1]["digest"])
    document = parse(data, descriptor.media_type)
    assert isinstance(document, Manifest)
    kinds = [layer.annotations["in-toto.io/predicate-type"] for layer in document.layers]
    assert kinds == [PROVENANCE, SPDX]


def test_an_sbom_alone_is_found_by_its_note(builder, scanner):
    assert build(builder, "--sbom", f"generator={scanner()}").returncode == 0
    assert len(statements(builder)) == 1
    with builder.registry.client() as client:
        repository = builder.registry.repository(builder.name)
        image = client.manifest(repository, "1")[0].digest
        [referrer] = client.referrers(repository, image)
    assert referrer.annotations["in-toto.io/predicate-type"] == SPDX


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_a_scan_is_cached_as_a_step_is(builder, scanner, tmp_path, rootfs):
    flags = (f"--sbom=generator={scanner()}", f"--cache-dir={tmp_path / 'cache'}", f"--rootfs={rootfs}")
    first = build(builder, *flags)
    assert first.returncode == 0, first.stderr
    before = statements(builder)
    again = build(builder, *flags)
    assert again.returncode == 0, again.stderr
    assert "4 steps: 4 from the cache, 0 run" in again.stderr, again.stderr
    assert statements(builder) == before


STAGES = """{everywhere}FROM TINY AS tools
{here}RUN echo tool > /tool
FROM scratch AS others
COPY app /other
FROM scratch
{target}COPY --from=tools /tool /app
COPY --from=others /other /
"""


@pytest.mark.parametrize(
    ("arguments", "flags", "scanned"),
    [
        ({}, (), {"sbom"}),
        ({"here": "ARG BUILDKIT_SBOM_SCAN_STAGE=true\n"}, (), {"sbom", "sbom-tools"}),
        ({"everywhere": "ARG BUILDKIT_SBOM_SCAN_STAGE=1\n"}, (), {"sbom", "sbom-tools", "sbom-others"}),
        ({"everywhere": "ARG BUILDKIT_SBOM_SCAN_STAGE=x,others\n"}, (), {"sbom", "sbom-others"}),
        (
            {"everywhere": "ARG BUILDKIT_SBOM_SCAN_STAGE=false\n"},
            ("--build-arg", "BUILDKIT_SBOM_SCAN_STAGE=tools"),
            {"sbom", "sbom-tools"},
        ),
        ({"target": "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n"}, (), {"sbom", "sbom-context"}),
    ],
    ids=["none", "one", "all", "listed", "by argument", "context"],
)
def test_a_dockerfile_has_more_scanned(builder, scanner, arguments, flags, scanned):
    given = {"everywhere": "", "here": "", "target": "", **arguments}
    done = build(builder, f"--sbom=generator={scanner()}", *flags, steps=STAGES.format(**given))
    assert done.returncode == 0, done.stderr
    found = {each["predicate"]["name"]: files_of(each) for each in statements(builder)}
    assert set(found) == scanned
    assert found["sbom"] == {"./app", "./other"}
    assert all(files for files in found.values())


def test_a_scanner_that_is_not_root_and_has_triggers(builder, scanner):
    more = "ONBUILD RUN exit 1\nWORKDIR /home/scan\nENV PATH=/bin\nUSER 1000:1000\n"
    done = build(builder, f"--sbom=generator={scanner(more=more)}")
    assert done.returncode == 0, done.stderr
    assert {"./app", "./v"} <= files_of(statements(builder)[0])


OUT = "$BUILDKIT_SCAN_DESTINATION"
STATEMENT = '{"_type":"https://in-toto.io/Statement/v1","predicateType":"%s","predicate":%s,"subject":[]}'
BAD = {
    "nothing": ("true", "wrote no SBOM to /run/out"),
    "a failure": ("echo no database; exit 3", "ended with exit code 3"),
    "no JSON": (f"echo x > {OUT}/a.json", "which is no JSON"),
    "no number of JSON": (f"echo '[NaN]' > {OUT}/a.json", "which is no JSON"),
    "no statement": (f'echo \'{{"spdxVersion":"SPDX-2.3"}}\' > {OUT}/a.spdx.json', "no in-toto statement"),
    "another predicate": (
        f"echo '{STATEMENT % (PROVENANCE, '{}')}' > {OUT}/a.json",
        "an SBOM neither in SPDX nor in CycloneDX",
    ),
    "no predicate": (f"echo '{STATEMENT % (SPDX, '[]')}' > {OUT}/a.json", "neither in SPDX nor"),
    "deep brackets": (
        (
            f"{{ printf '%s' '{(STATEMENT % (SPDX, 'X')).partition('X')[0]}'; "
            f"""yes '{{"a":' | head -n 700 | tr -d '\\n'; printf 1; yes '}}' | head -n 700 | tr -d '\\n'; """
            f"printf '}}'; }} > {OUT}/a.json"
        ),
        "SBOM",
    ),
    "too many files": (
        f"for i in $(seq 65); do echo x > {OUT}/$i.json; done",
        "more than 64 files",
    ),
    "too much": (f"truncate -s 41M {OUT}/a.json", "more than 40 MiB"),
    "a link out of the image": (
        f"ln -s ../../../../../../../../etc/os-release {OUT}/a.json; ln -s /etc/passwd {OUT}/b.json",
        "wrote no SBOM",
    ),
    "a link for the directory": (f"cd /; rm -r {OUT}; ln -s /proc/self/root/etc {OUT}", "wrote no SBOM"),
    "no file": (f"mkdir {OUT}/a.json; mkfifo {OUT}/b.json", "wrote no SBOM"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_scanner_that_cannot_be_used_fails_the_build_before_a_tag(builder, scanner, name):
    script, words = BAD[name]
    generator = scanner(script)
    done = build(builder, f"--sbom=generator={generator}")
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert builder.tags() == []
    assert builder.left_behind() == []


def test_what_failed_is_told_and_not_the_push_that_ended_for_it(builder, scanner):
    generator, over = scanner(BAD["no JSON"][0]), threading.Event()

    def held(exchange: Exchange) -> None:
        over.wait(240)
        exchange.close_connection = True

    with FaultyRegistry() as registry:
        registry.add(faults.sometimes(held, method="PATCH|PUT", path="/blobs/uploads/", times=1000))
        flags = ("-d", f"{registry.host}/app:1", "--insecure-registry", registry.host)
        done = build(builder, f"--sbom=generator={generator}", *flags)
        over.set()
    assert done.returncode != 0
    assert "which is no JSON" in done.stderr, done.stderr


def test_a_scan_changes_no_image(builder, scanner):
    """The image's files are read-only for a scanner, whatever it tries."""
    attack = f"for f in v app; do echo x > $BUILDKIT_SCAN_SOURCE/$f && exit 9; done; {SCANNER}"
    before = build(builder).stdout
    done = build(builder, f"--sbom=generator={scanner(attack)}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == before


def test_an_image_that_starts_nothing_is_no_scanner(builder):
    assert build(builder, steps="FROM scratch\nCOPY app /\n").returncode == 0
    done = build(builder, f"--sbom=generator={builder.destination}")
    assert done.returncode != 0
    assert "has neither an entry point nor a command" in done.stderr
    missing = build(builder, f"--sbom=generator={builder.registry.host}/{uuid.uuid4().hex}")
    assert missing.returncode != 0
    assert "cannot pull the image" in missing.stderr


def test_an_image_that_is_there_is_scanned_and_stays(builder, scanner, tmp_path):
    assert build(builder).returncode == 0
    words: list[str | Path] = [STRAKE, "sbom", builder.destination, "--generator", scanner()]
    words += ["--insecure-registry", builder.registry.host, "--work-dir", tmp_path / "work"]
    done = run_strake(words, builder.environment(), 240)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"./app", "./v"} <= {each["fileName"] for each in document["files"]}
    assert builder.tags() == ["1"]
    assert list((tmp_path / "work").iterdir()) == []


def test_what_cannot_be_scanned_is_told_before_work(builder, tmp_path):
    for image, word in (("UPPER/x", "UPPER/x"), (f"{builder.registry.host}/none:1", "cannot pull")):
        words: list[str | Path] = [STRAKE, "sbom", image, "--insecure-registry", builder.registry.host]
        done = run_strake([*words, "--work-dir", tmp_path / "work"], builder.environment(), 240)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert word in done.stderr
