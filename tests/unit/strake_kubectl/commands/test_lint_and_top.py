"""Manifests that are checked here, and the queue."""

from __future__ import annotations

import pytest
import yaml

from tests.unit.strake_kubectl.conftest import MOMENT, building, condition, imagebuild, succeeded

HEAD = {"apiVersion": "strake.dev/v1alpha1", "kind": "ImageBuild", "metadata": {"name": "api"}}
OUTPUT = {"destinations": ["r.example/api:1"]}


@pytest.fixture
def manifest(tmp_path):
    def written(*specs: dict) -> str:
        documents = [{"kind": "Secret"}, *({**HEAD, "spec": each} for each in specs)]
        path = tmp_path / "builds.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return written


@pytest.mark.parametrize(
    ("spec", "status", "words"),
    [
        ({"source": {"git": {"url": "https://git.example/a"}}, "output": OUTPUT}, 0, "no findings"),
        (
            {"source": {"inline": {"Dockerfile": "FROM scratch\nCOPY a /\n"}}, "output": OUTPUT},
            0,
            "no findings",
        ),
        (
            {"source": {"inline": {"Dockerfile": "from scratch\nCOPY a /\n"}}, "output": OUTPUT},
            1,
            "ConsistentInstructionCasing",
        ),
        (
            {"source": {"inline": {"Dockerfile": "FROM scratch\nNONSENSE\n"}}, "output": OUTPUT},
            3,
            "Dockerfile:2",
        ),
        ({"source": {}, "output": OUTPUT}, 2, "source"),
        ({"source": {"configMap": {"name": "c"}}, "output": OUTPUT, "unknown": 1}, 2, "unknown"),
    ],
    ids=["git", "inline", "a warning", "a mistake", "no source", "an unknown field"],
)
def test_lint_says_what_the_cluster_would(strake, api, manifest, spec, status, words):
    done = strake("lint", "--error", manifest(spec))
    assert done.status == status
    assert words in done.out
    assert api.asked == []


def test_lint_without_an_imagebuild_or_a_file(strake, manifest, tmp_path):
    assert strake("lint", manifest()).status == 2
    assert "cannot read" in strake("lint", str(tmp_path / "missing")).err
    (tmp_path / "broken").write_text("a: [")
    assert "is no YAML" in strake("lint", str(tmp_path / "broken")).err


def test_top_has_what_runs_and_then_what_waits_in_order(strake, api):
    def waiting(name: str, position: int) -> dict:
        conditions = [condition("Ready", "Unknown", "Queued"), condition("Finished", "False", "Queued")]
        queue = {"position": position, "since": MOMENT, "reason": "NamespaceLimit"}
        return imagebuild(name, phase="Queued", queue=queue, conditions=conditions)

    for each in (
        waiting("third", 2),
        waiting("second", 1),
        building("first", startTime=MOMENT),
        succeeded("done"),
    ):
        api.put(each)
    lines = strake("top").out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["first", "Building"],
        ["second", "Queued"],
        ["third", "Queued"],
    ]
    assert lines[2].split()[2] == "1"
    assert lines[2].endswith("NamespaceLimit")
    assert lines[4] == "1 run, 2 wait"


def test_top_of_nothing(strake, api):
    api.put(succeeded())
    assert strake("top", "-A").out == "0 run, 0 wait\n"
