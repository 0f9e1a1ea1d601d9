"""The commands of every page, typed in the order of the page into a directory with a Dockerfile."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from strake_oci.registry.images import RegistryImages
from strake_oci.transfers.copying import copy_image
from tests.fixtures.building.go_tools import cosign
from tests.fixtures.servers.signing import KeyPair, make_key_pair
from tests.pages.blocks import PAGES, ROOT, Block, blocks, commands
from tests.pages.internet import Internet, running_internet

HERE = [each for each in commands() if not each.in_cluster and each.script.strip()]
DOCKERFILE = "FROM alpine:3.20\nCOPY app /app\n"
FILES = {
    "docs/verify.md": {
        "Dockerfile": "FROM busybox:1\nCOPY --chmod=755 app /app\n",
        "app": "#!/bin/sh\necho 1.2\n",
    },
}
"""Page → what its directory has beside the usual, or in place of it."""
SCANNER = """#!/bin/sh
if test -n "${BUILDKIT_SCAN_DESTINATION-}"; then
  printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],\
"predicate":{"spdxVersion":"SPDX-2.3","name":"app"}}' > "$BUILDKIT_SCAN_DESTINATION/app.spdx.json"
else
  cat > /run/verify/out/findings.json <<'END'
{"matches": [{"vulnerability": {"id": "CVE-2026-1234", "severity": "High"}, "artifact": {"name": "a", "version": "1"}}]}
END
fi
"""
SCANNERS = ("docker/buildkit-syft-scanner:stable-1", "scanner:1", "scanners/grype:v0.121.2")
"""Images of other projects that pages name: a script stands in for their programs."""
TAGS = {
    "README.md": {"1.2"},
    "docs/attestations.md": {"1.2"},
    "docs/cli.md": {"latest", "1.2", "1.2-amd64", "1.2-arm64", "stable"},
    "docs/dockerfile.md": {"1"},
    "docs/from-buildkit.md": {"1"},
    "docs/from-kaniko.md": {"1"},
    "docs/isolation.md": {"1"},
    "docs/verify.md": {"1.2"},
}
"""Page → the tags of registry.example/app after it."""
SHOWN = {
    "docs/cli.md": ("next: strake inspect registry.example/app:1.2\n", "1 step: 0 from the cache, 1 run\n")
}
"""Page → what its commands write, where the page shows such a line."""


@pytest.fixture(scope="module")
def internet(tmp_path_factory) -> Iterator[Internet]:
    directory = tmp_path_factory.mktemp("internet")
    with running_internet(directory) as running:
        base = directory / "alpine"
        base.mkdir()
        (base / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        both = "strake build --platform linux/amd64,linux/arm64 -d docker.io/library/alpine:3.20"
        assert running.run(both, base).returncode == 0
        scanner = directory / "scanner-context"
        scanner.mkdir()
        (scanner / "grype").write_text(SCANNER)
        (scanner / "Dockerfile").write_text(
            'FROM busybox:1\nCOPY --chmod=755 grype /grype\nENTRYPOINT ["/grype"]\n'
        )
        assert running.run("strake build -d registry.example/scanner:1", scanner).returncode == 0
        with running.registry.client() as client:
            made = RegistryImages(client, running.registry.repository("scanner"))
            for name, _, tag in (each.partition(":") for each in SCANNERS):
                copy_image(made, "1", RegistryImages(client, running.registry.repository(name)), tag)
        yield running


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> KeyPair:
    return make_key_pair(tmp_path_factory.mktemp("keys"))


def directory_of(page: str, top: Path) -> Path:
    """Make the directory in which a page's reader is."""
    directory = top / "app"
    directory.mkdir()
    checks = next(text for name, text in blocks("yaml") if name == "docs/verify.md")
    manifest = next(text for name, text in blocks("yaml") if name == "README.md")
    files = {
        "Dockerfile": DOCKERFILE,
        "app": "app\n",
        "checks.yaml": re.sub("(?m)^  ", "", checks.removeprefix("spec:\n")),
        "imagebuild.yaml": manifest,
        **FILES.get(page, {}),
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def filled(block: Block, internet: Internet) -> str:
    """Return a block's script with the digest that the reader has in the place of `…`, and the machine that it asks for."""
    script = re.sub("# on an (amd64|arm64) machine", r"--platform linux/\1", block.script)
    if "@sha256:…" in script:
        script = script.replace("@sha256:…", f"@{internet.digest('app', '1.2')}")
    assert "…" not in script, "a command that leaves something open cannot be run"
    return script


@pytest.mark.parametrize("page", dict.fromkeys(each.page for each in HERE))
def test_they_do_what_they_say(page, internet, pair, tmp_path):
    internet.forget("app")
    directory = directory_of(page, tmp_path)
    shutil.copy(pair.public, directory)
    (tmp_path / "home").mkdir()
    shutil.copy(pair.key, tmp_path / "home")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cosign").symlink_to(cosign())
    written = ""
    for block in (each for each in HERE if each.page == page):
        done = internet.run(
            f'PATH="$PATH:{tmp_path}/bin"\n{filled(block, internet)}', directory, FILES_TOKEN="a-token"
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        written += done.stdout + done.stderr
    assert internet.tags("app") == TAGS[page]
    assert [line for line in SHOWN.get(page, ()) if line not in written] == []
    assert "Traceback" not in written
    assert [line for line in written.splitlines() if line.startswith("warning:")] == []


def test_there_is_a_page_for_each_of_them():
    assert {each.page for each in HERE} == set(TAGS)
    assert {str(each.relative_to(ROOT)) for each in PAGES} >= set(TAGS)
