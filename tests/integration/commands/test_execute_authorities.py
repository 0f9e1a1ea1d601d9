"""A CA for everything, carried out as in a builder pod: git, ADD, registries, and not RUN."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.web import make_repository, running_web_server


@pytest.fixture
def web(tmp_path, certificates):
    """Serves a repository whose Dockerfile downloads a file from the same server."""
    root = tmp_path / "web"
    root.mkdir()
    (root / "download").write_text("downloaded\n")
    with running_web_server(root, certificates) as server:
        yield server


def execute(builder, directory, **request) -> dict:
    request = {"workDirectory": str(builder.work), **request}
    (directory / "request.json").write_text(json.dumps(request))
    words = ["execute", "--request", directory / "request.json", "--result", directory / "result.json"]
    done = run_strake([STRAKE, *words], builder.environment())
    return {**json.loads((directory / "result.json").read_text()), "log": done.stderr}


DOCKERFILE = """\
FROM TINY
ADD WEB/download /download
RUN test -z "$SSL_CERT_FILE$GIT_SSL_CAINFO" && ! ls -l /proc/*/fd/ 2>/dev/null | grep -q ca-bundle
"""


def test_git_downloads_and_registries_trust_it(builder, tmp_path, certificates, web):
    with running_registry(tls=certificates) as registry:
        text = DOCKERFILE.replace("TINY", builder.names["TINY"]).replace("WEB", web.url)
        make_repository(tmp_path / "web/app.git", Dockerfile=text)
        request = {
            "source": {"git": {"url": f"{web.url}/app.git/.git"}},
            "output": {"destinations": [f"{registry.host}/{builder.name}:1"]},
            "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
        }
        refused = execute(builder, tmp_path, **request, ca=None)
        assert refused["reason"] == "SourceFetchFailed"
        assert "certificate" in refused["message"]
        done = execute(builder, tmp_path, **request, ca=certificates.ca.read_text())
        assert "digest" in done, done["log"]
        assert "/download" in web.asked


def test_the_systems_authorities_are_trusted_further_on(tmp_path, certificates):
    """The file that takes the place of the system's has them too."""
    script = (
        "import os, ssl, sys\n"
        "from strake_builder.cli.registries.ca_bundle import install\n"
        "known = len(ssl.create_default_context().get_ca_certs())\n"
        "install(open(sys.argv[1]).read(), os.environ)\n"
        "print(len(ssl.create_default_context().get_ca_certs()) - known)\n"
    )
    system = tmp_path / "system.pem"
    (tmp_path / "other").mkdir()
    system.write_text(make_certificates(tmp_path / "other").ca.read_text().rstrip())
    done = subprocess.run(
        [sys.executable, "-c", script, certificates.ca],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SSL_CERT_FILE": str(system), "SSL_CERT_DIR": "/nonexistent"},
    )
    assert done.stdout == "1\n", done.stderr
