"""The field's own scanners, syft and grype: they make the SBOM, read it, and refuse an image before its tag moves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.go_tools import grype, syft, vulnerabilities
from tests.fixtures.building.preloaded import run_strake

CVE = "CVE-2026-4242"
PACKAGE = (
    "Package: libmade-up\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\nMaintainer: x\n"
)
DEBIAN = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'
STEPS = "FROM TINY\nCOPY status /var/lib/dpkg/status\nCOPY os-release /etc/os-release\nRUN echo 1 > /v\n"
SCAN = """set -eu
cd /tmp
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],'
printf '"predicate":'
HOME=/tmp SYFT_CHECK_FOR_APP_UPDATE=false /syft scan "dir:$BUILDKIT_SCAN_SOURCE" -q -o spdx-json
printf '}'
"""
GRYPE: dict[str, str] = {
    "GRYPE_CHECK_FOR_APP_UPDATE": "false",
    "GRYPE_DB_AUTO_UPDATE": "false",
    "GRYPE_DB_VALIDATE_AGE": "false",
}


def image(builder: Builder, program: str, dockerfile: str, *flags: str, **files: str) -> str:
    """Push an image with a program, and return its name."""
    context, name = builder.directory / "scanner", f"{builder.registry.host}/scanner/{Path(program).name}:1"
    context.mkdir()
    shutil.copy(program, context)
    for file, text in files.items():
        (context / file).write_text(text)
    (context / "Dockerfile").write_text(dockerfile)
    words: list[str | Path] = [STRAKE, "build", "-c", context, "-d", name, "--work-dir", context / "work"]
    words += ["--insecure-registry", builder.registry.host, *flags]
    done = run_strake(words, builder.environment(), 240)
    assert done.returncode == 0, done.stderr
    return name


def run(*words: str | Path, **environment: str) -> Any:
    """Run a scanner that writes JSON, and return it."""
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def database(tmp_path) -> Path:
    """A cache directory of grype with a database that knows one vulnerability."""
    directory = tmp_path / "db" / "6"
    directory.mkdir(parents=True)
    subprocess.run([vulnerabilities(), directory], check=True)
    return directory.parent


def build(builder: Builder, *flags: str) -> subprocess.CompletedProcess[str]:
    builder.context(STEPS, **{"status": PACKAGE, "os-release": DEBIAN})
    return builder.run("--reproducible", *flags)


def test_an_sbom_of_syft_is_read_by_syft_and_grype(builder, database, tmp_path):
    tiny = builder.names["TINY"]
    scanner = image(
        builder,
        syft(),
        f'FROM {tiny}\nCOPY syft scan /\nENTRYPOINT ["/bin/sh", "-c", '
        '"sh /scan > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]\n',
        scan=SCAN,
    )
    done = build(builder, f"--sbom=generator={scanner}")
    assert done.returncode == 0, done.stderr
    printed = run_strake(
        [STRAKE, "attestations", builder.destination, "--insecure", "--print", "sbom"],
        builder.environment(),
        240,
    )
    assert printed.returncode == 0, printed.stderr
    sbom = tmp_path / "sbom.spdx.json"
    sbom.write_text(json.dumps(json.loads(printed.stdout)["predicate"]))
    read = run(syft(), "convert", sbom, "-q", "-o", "json", SYFT_CHECK_FOR_APP_UPDATE="false")
    assert {"libmade-up": "1.0"}.items() <= {
        each["name"]: each["version"] for each in read["artifacts"]
    }.items()
    found = run(grype(), f"sbom:{sbom}", "-q", "-o", "json", **GRYPE, GRYPE_DB_CACHE_DIR=str(database))
    assert [each["vulnerability"]["id"] for each in found["matches"]] == [CVE]


def test_what_grype_finds_keeps_the_tag_where_it_is(builder, database):
    variables = "".join(f"ENV {name}={value}\n" for name, value in GRYPE.items())
    dockerfile = f"FROM scratch\n{variables}ENV GRYPE_DB_CACHE_DIR=/db\nCOPY grype /\nCOPY --from=db / /db/\n"
    scanner = image(builder, grype(), dockerfile, f"--build-context=db={database}")
    check = {
        "name": "cves",
        "kind": "scan",
        "image": scanner,
        "command": ["/grype"],
        "args": ["dir:/run/verify/root", "-o", "json", "--file", "/run/verify/out/findings.json"],
    }
    path = builder.directory / "checks.yaml"
    path.write_text(json.dumps({"verify": [check]}))
    done = build(builder, f"--verify-file={path}")
    assert done.returncode == 18, done.stderr
    assert f"1 critical: {CVE} (critical) in libmade-up 1.0, fixed in 2.0" in done.stderr
    assert builder.tags() == []
    path.write_text(json.dumps({"verify": [{**check, "ignore": [{"id": CVE, "reason": "a test's"}]}]}))
    done = build(builder, f"--verify-file={path}")
    assert done.returncode == 0, done.stderr
    assert builder.tags() == ["1"]
