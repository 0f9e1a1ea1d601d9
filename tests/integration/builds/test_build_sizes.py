"""What a build says of the bytes that it moved."""

from __future__ import annotations

import json


def sizes(builder, tmp_path) -> dict[str, int]:
    done = builder.run("--metadata-file", str(tmp_path / "result.json"))
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads((tmp_path / "result.json").read_text())["sizes"]
    return found


def test_layers_that_were_read_and_pushed_are_counted(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo hello > /hello\n")
    moved = sizes(builder, tmp_path)
    assert moved["pushed"] > 0
    assert 0 < moved["pulled"] < moved["compressed"]


def test_a_base_image_that_nobody_needs_the_files_of_is_not_pulled(builder, tmp_path):
    builder.context("FROM TINY\nLABEL a=b\n")
    assert sizes(builder, tmp_path).get("pulled", 0) == 0
