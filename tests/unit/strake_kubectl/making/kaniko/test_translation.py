"""Pods and jobs that run kaniko, as ImageBuilds."""

from __future__ import annotations

import pytest
import yaml

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "build-api"},
    "spec": {
        "serviceAccountName": "builder",
        "nodeSelector": {"pool": "builds"},
        "containers": [
            {
                "name": "kaniko",
                "image": "gcr.io/kaniko-project/executor:v1.24.0",
                "args": [
                    "--context=git://git.example/team/api.git#refs/heads/main",
                    "--context-sub-path=services/api",
                    "--dockerfile",
                    "deploy/Dockerfile",
                    "--destination=r.example/team/api:1",
                    "--build-arg=A=1=2",
                    "--label=team=x",
                    "--cache=true",
                    "--cache-repo=r.example/team/cache",
                    "--reproducible",
                    "--snapshot-mode=redo",
                    "--tar-path=/out/image.tar",
                ],
                "resources": {"limits": {"memory": "2Gi"}},
                "volumeMounts": [{"name": "docker", "mountPath": "/kaniko/.docker"}],
            }
        ],
        "volumes": [{"name": "docker", "secret": {"secretName": "push"}}],
    },
}
GITLAB = """
.base: !reference [other, script]
stages: [build]
build-api:
  image: {name: "gcr.io/kaniko-project/executor:debug", entrypoint: [""]}
  script:
    - mkdir -p /kaniko/.docker
    - >-
      /kaniko/executor --context "$CI_PROJECT_DIR/services/api"
      --dockerfile "${CI_PROJECT_DIR}/services/api/Dockerfile.prod"
      --destination "$CI_REGISTRY_IMAGE/api:$CI_COMMIT_SHORT_SHA"
"""


@pytest.fixture
def created(strake, tmp_path):
    """Translate a file; return the manifest and what was told."""

    def ran(content: object, *words: str):
        path = tmp_path / "kaniko.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        done = strake("create", "api", "--from-kaniko", str(path), "--dry-run=client", "-o", "yaml", *words)
        return yaml.safe_load(done.out) if done.status == 0 else None, done.err

    return ran


def test_a_pod_is_an_imagebuild(created):
    made, told = created(POD)
    assert made["spec"] == {
        "source": {
            "git": {
                "url": "https://git.example/team/api.git",
                "ref": "refs/heads/main",
                "path": "services/api",
            }
        },
        "serviceAccountName": "builder",
        "resources": {"limits": {"memory": "2Gi"}},
        "pod": {"nodeSelector": {"pool": "builds"}},
        "pushSecret": {"name": "push"},
        "dockerfile": "deploy/Dockerfile",
        "args": [{"name": "A", "value": "1=2"}],
        "cache": {"repository": "r.example/team/cache"},
        "output": {
            "destinations": ["r.example/team/api:1"],
            "labels": {"team": "x"},
            "reproducible": True,
        },
    }
    assert "note: --tar-path: an ImageBuild has no field for it" in told
    assert "note: --snapshot-mode: not needed" in told
    assert "note: the Secret push must be of type kubernetes.io/dockerconfigjson" in told


@pytest.mark.parametrize("depth", ["Job", "CronJob"])
def test_a_pod_in_a_job_is_found(created, depth):
    template = {"template": {"spec": POD["spec"]}}
    spec = template if depth == "Job" else {"jobTemplate": {"spec": template}}
    made, _ = created({"kind": depth, "metadata": {"name": "nightly"}, "spec": spec})
    assert made["spec"]["output"]["destinations"] == ["r.example/team/api:1"]


def test_a_job_of_gitlabs_needs_its_repository_and_its_variables(created):
    nothing, told = created(GITLAB)
    assert nothing is None
    assert "has the variable CI_REGISTRY_IMAGE" in told
    variable = ("--variable", "CI_REGISTRY_IMAGE=r.example/team")
    nothing, told = created(GITLAB, *variable)
    assert nothing is None
    assert "the context is a directory of the pod or of the job" in told
    made, _ = created(GITLAB, *variable, "--git", "https://git.example/team", "--ref", "main")
    assert made["spec"] == {
        "source": {"git": {"url": "https://git.example/team", "ref": "main", "path": "services/api"}},
        "dockerfile": "Dockerfile.prod",
        "output": {"destinations": ["r.example/team/api:{shortRevision}"]},
    }


@pytest.mark.parametrize(
    ("context", "source"),
    [
        ("s3://bucket/app.tar.gz", {"s3": {"bucket": "bucket", "key": "app.tar.gz"}}),
        ("gs://bucket/app.tar.gz", {"gs": {"bucket": "bucket", "object": "app.tar.gz"}}),
        ("https://x.example/app.tar.gz", {"http": {"url": "https://x.example/app.tar.gz"}}),
    ],
)
def test_contexts_elsewhere(created, context, source):
    made, _ = created(pod(f"--context={context}", "--destination=r.example/a:1", "--cache=false"))
    assert made["spec"]["source"] == source
    assert made["spec"]["cache"] == {"enabled": False}


def pod(*arguments: str) -> dict:
    container = {"image": "gcr.io/kaniko-project/executor", "args": list(arguments)}
    return {"kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (pod("--no-such-flag"), "has no flag '--no-such-flag'"),
        (pod("--destination"), "has no value"),
        (pod("--context=tar://stdin", "--destination=r.example/a:1"), "no cluster has the context"),
        (
            pod("--context=git://g.example/a", "--cache=maybe", "--destination=r.example/a:1"),
            "neither true nor false",
        ),
        (pod("--context=git://g.example/a"), "destinations"),
        ({"kind": "Pod", "spec": {"containers": [{"image": "busybox"}]}}, "has no command of kaniko's"),
        ({"a": pod("--x")["spec"], "b": pod("--x")["spec"]}, "choose one with --job"),
    ],
    ids=["a flag", "a value", "standard input", "a switch", "no destination", "no kaniko", "several"],
)
def test_what_cannot_be_translated_is_told(created, document, words):
    made, told = created(document)
    assert made is None
    assert words in told
