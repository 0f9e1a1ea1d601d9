"""An image as files is the image that would be pushed."""

from __future__ import annotations

import json
import subprocess
import tarfile

from tests.fixtures.narrow import present


def test_no_push_pushes_nothing(builder):
    builder.context("FROM TINY\nRUN echo x > /x")
    done = builder.run("--no-push")
    assert done.returncode == 0, done.stderr
    assert builder.tags() == []
    assert done.stdout == ""


def test_a_layout_holds_the_image_that_is_pushed(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo x > /x")
    done = builder.run(
        "--oci-layout-path", str(tmp_path / "layout"), "--digest-file", str(tmp_path / "digest")
    )
    assert done.returncode == 0, done.stderr
    digest = (tmp_path / "digest").read_text()
    assert done.stdout.strip().endswith("@" + digest)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    assert [m["digest"] for m in index["manifests"]] == [digest]
    found = subprocess.run(
        ["skopeo", "inspect", f"oci:{tmp_path}/layout:1"], capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout)["Digest"] == digest


def test_an_archive_is_what_docker_loads(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo x > /x")
    done = builder.run("--no-push", "--tar-path", str(tmp_path / "image.tar"))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "image.tar") as tar:
        (entry,) = json.load(present(tar.extractfile("manifest.json")))
    assert entry["RepoTags"] == [builder.destination]
    found = subprocess.run(
        ["skopeo", "inspect", f"docker-archive:{tmp_path}/image.tar"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(found.stdout)["Layers"]) == 2


def test_an_archive_that_cannot_be_written_leaves_no_part(builder, tmp_path):
    builder.context("FROM TINY\nRUN true")
    done = builder.run("--no-push", "--tar-path", str(tmp_path / "no/such/image.tar"))
    assert (done.returncode, "RUN true" in done.stderr) == (2, False), "it is refused before the build"
    assert not (tmp_path / "no").exists()
    done = builder.run("--no-push", "--tar-path", "/proc/image.tar")
    assert done.returncode == 8
    assert "/proc/image.tar" in done.stderr


def test_the_metadata_file_says_what_was_built(builder, tmp_path):
    builder.context("FROM TINY AS unnamed\nLABEL a=b\nRUN echo x > /x\nRUN true")
    done = builder.run("--metadata-file", str(tmp_path / "result.json"), "--build-arg", "UNUSED=1")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == {"total": 3, "run": 2, "cached": 0}
    assert result["layers"] == 2
    assert result["baseImages"][0]["reference"].endswith("library/busybox:1")
    assert any("UNUSED" in warning["message"] for warning in result["warnings"])


def test_the_history_says_how_the_image_came_about(builder):
    builder.context('FROM TINY\nENV A=b\nRUN echo x > /x\nRUN true\nCMD ["x"]')
    assert builder.run().returncode == 0
    history = builder.built().config.history
    ours = [(h.created_by, h.empty_layer) for h in history if h.comment]
    assert [empty for _, empty in ours] == [True, False, True, True]
    assert ours[0][0] == "ENV A=b"
    assert "echo x > /x" in ours[1][0]
