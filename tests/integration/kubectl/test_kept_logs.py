"""`kubectl strake logs` of a run whose pods are gone: from the registry that the platform keeps logs in."""

from __future__ import annotations

import gzip
import io
from functools import partial

import pytest

from strake_api.logs.artifact import ARTIFACT_TYPE, LAYER_TYPE
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.api_server import running_api_server
from tests.unit.strake_kubectl.conftest import building


@pytest.fixture
def logs(plain, tmp_path):
    """Run the command for a run whose log is an artifact of a type."""

    def ran(content: bytes, artifact_type: str = ARTIFACT_TYPE):
        repository = plain.repository("logs/team")
        packed = gzip.compress(content)
        layer = Descriptor.of(LAYER_TYPE, packed)
        artifact = make_artifact(artifact_type, (layer,)).serialize()
        with plain.client() as client:
            for each, data in ((layer, packed), (EMPTY, EMPTY_CONTENT)):
                client.push_blob(repository, each, partial(io.BytesIO, data))
            digest = Digest.sha256(artifact)
            client.push_manifest(
                repository.at(digest), artifact, "application/vnd.oci.image.manifest.v1+json"
            )
        with running_api_server() as api:
            run = {"number": 2, "generation": 1, "phase": "Failed", "reason": "Evicted"}
            api.put(building(history=[{**run, "log": f"{repository}@{digest}"}]))
            variables = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig")), "PATH": "/usr/bin:/bin"}
            words = [STRAKE, "ib", "logs", "api", "--run", "2", f"--insecure-registry={plain.host}"]
            return run_strake(words, {**variables, "HOME": str(tmp_path)})

    return ran


def test_a_kept_log_is_read_from_its_registry(logs):
    done = logs(b"== building\n#1 | \x1b[2Jhello\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "== building\n#1 | \\x1b[2Jhello\n"


def test_an_artifact_of_another_kind_is_refused(logs):
    done = logs(b"anything\n", "application/vnd.example.other")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no log of a run" in done.stderr
