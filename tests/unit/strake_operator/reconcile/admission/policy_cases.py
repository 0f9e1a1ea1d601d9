"""BuildPolicies beside specs, and what of it is refused: the operator's answer, and the API server's.

Shared with `tests/e2e/isolation/test_policy_admission.py`, so that both say the same.
"""

from __future__ import annotations

from typing import Any

from strake_api.imagebuild import ImageBuildSpec


def spec(**changes: Any) -> ImageBuildSpec:
    fields = {
        "source": {"git": {"url": "https://git.example:8443/a.git"}},
        "output": {"destinations": ["r.example/team/app:1"]},
        **changes,
    }
    return ImageBuildSpec.model_validate(fields)


def inline(name: str) -> dict[str, Any]:
    return {"source": {"inline": {"Dockerfile": "FROM scratch"}}, "output": {"destinations": [name]}}


def signed(secret: str) -> dict[str, Any]:
    return {"output": {"destinations": ["r.example/team/app:1"], "sign": {"secretRef": {"name": secret}}}}


def http(url: str) -> dict[str, Any]:
    return {"source": {"http": {"url": url}}}


def s3(**fields: Any) -> dict[str, Any]:
    return {"source": {"s3": {"bucket": "box", "key": "ci/context.tar.gz", **fields}}}


def named(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "lib", kind: fields}


AZURE = {"source": {"azure": {"url": "https://a.blob.core.windows.net/c/b/context.tar"}}}


def pod(**fields: Any) -> dict[str, Any]:
    return {"pod": fields}


CASES: tuple[tuple[dict[str, Any], dict[str, Any], str | None], ...] = (
    ({}, {}, None),
    ({"destinations": ["r.example/team/*"]}, {}, None),
    ({"destinations": ["r.example/{namespace}/*"]}, {}, None),
    ({"destinations": ["r.example/team/app"]}, {}, None),
    ({"destinations": ["r.example/team/app:1"]}, {}, None),
    ({"destinations": ["r.example/team/app:2"]}, {}, "spec.output.destinations[0]: 'r.example/team/app:1'"),
    ({"destinations": ["r.example/te*m/b"]}, {}, "is none of r.example/te*m/b"),
    ({"destinations": ["r.example/other/*"]}, {}, "is none of r.example/other/*"),
    ({"destinations": ["rXexample/team/*"]}, {}, "is none of"),
    ({"destinations": ["r.example/team"]}, {}, "is none of"),
    ({"destinations": []}, {}, "what is allowed, which is nothing"),
    ({"destinations": ["docker.io/library/*"]}, inline("app"), None),
    ({"destinations": ["docker.io/library/app:latest"]}, inline("app"), None),
    ({"destinations": ["app"]}, inline("app"), "'app' is none of app"),
    ({"destinations": ["docker.io/team/app"]}, inline("index.docker.io/team/app:1"), None),
    ({"destinations": ["docker.io/library/app"]}, inline("index.docker.io/app"), None),
    ({"destinations": ["docker.io/library/app"]}, inline("docker.io/app:1"), None),
    ({"destinations": ["localhost/app:2"]}, inline("localhost/app:2"), None),
    ({"destinations": ["r.example:5000/app:latest"]}, inline("r.example:5000/app"), None),
    ({"destinations": ["r.example:5000"]}, inline("r.example:5000/app"), "is none of"),
    ({"destinations": ["r.example/[a-z]+/(app)", "^.*$", "r.example/team/ap\\w"]}, {}, "is none of"),
    (
        {"destinations": ["r.example/team/app"]},
        {"cache": {"repository": "r.example/x/cache"}},
        "spec.cache.repository: 'r.example/x/cache'",
    ),
    ({"sources": {"kinds": ["git"]}}, {}, None),
    ({"sources": {"kinds": ["configMap"]}}, {}, "spec.source.git: sources are configMap"),
    ({"sources": {"gitHosts": ["git.example:8443"]}}, {}, None),
    ({"sources": {"gitHosts": ["*.example:*"]}}, {}, None),
    ({"sources": {"gitHosts": ["git.example"]}}, {}, "host 'git.example:8443' is none of git.example"),
    ({"sources": {"gitHosts": ["git.example"]}}, inline("app"), None),
    (
        {"sources": {"gitHosts": ["*.good.example"]}},
        {"source": {"git": {"url": "https://bad.example?.good.example/a"}}},
        "spec.source.git.url: host 'bad.example' is none of *.good.example",
    ),
    ({"sources": {"kinds": ["git"]}}, {"contexts": [{"name": "a", "image": "x"}]}, None),
    (
        {"sources": {"kinds": ["git"]}},
        {"contexts": [{"name": "a", "image": "x"}, {"name": "b", "http": {"url": "https://x.example/a"}}]},
        "spec.contexts[1].http: sources are git",
    ),
    (
        {"sources": {"gitHosts": ["git.example:8443"]}},
        {"contexts": [{"name": "a", "git": {"url": "https://other.example/a"}}]},
        "spec.contexts[0].git.url: host 'other.example' is none of git.example:8443",
    ),
    (
        {"sources": {"gitHosts": ["git.example:8443", "git.example"]}},
        {"contexts": [{"name": "a", "git": {"url": "git@git.example:a", "secret": {"name": "x"}}}]},
        None,
    ),
    (
        {"secrets": []},
        {"contexts": [{"name": "a", "git": {"url": "https://x.example/a", "secret": {"name": "token"}}}]},
        "spec.contexts[0].git.secret: Secret 'token'",
    ),
    ({"secrets": ["push-*"]}, {"pushSecret": {"name": "push-a"}}, None),
    ({"secrets": ["push-*"]}, {"pullSecret": {"name": "root"}}, "spec.pullSecret: Secret 'root'"),
    (
        {"secrets": []},
        {"source": {"git": {"url": "https://g.example/a", "secret": {"name": "token"}}}},
        "spec.source.git.secret: Secret 'token' is none of what is allowed, which is nothing",
    ),
    (
        {"secrets": ["x"]},
        {"secrets": [{"id": "npm", "secretRef": {"name": "npm", "key": "k"}}]},
        "spec.secrets[0].secretRef: Secret 'npm' is none of x",
    ),
    (
        {"secrets": ["x", "y-*"]},
        {
            "args": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "arg", "key": "k"}}},
            ]
        },
        "spec.args[1].valueFrom.secretKeyRef: Secret 'arg' is none of x, y-*",
    ),
    (
        {"secrets": ["x"]},
        {"pod": {"imagePullSecrets": [{"name": "x"}, {"name": "pull"}]}},
        "spec.pod.imagePullSecrets[1]: Secret 'pull'",
    ),
    ({"secrets": ["sign-*"]}, signed("sign-a"), None),
    (
        {"secrets": ["push-*"]},
        signed("release-key"),
        "spec.output.sign.secretRef: Secret 'release-key' is none of push-*",
    ),
    ({"serviceAccounts": ["builder"]}, {}, None),
    ({"serviceAccounts": ["builder"]}, {"serviceAccountName": "builder"}, None),
    ({"serviceAccounts": ["builder"]}, {"serviceAccountName": "admin"}, "spec.serviceAccountName: 'admin'"),
    ({"maxRetries": 0}, {}, None),
    ({"maxRetries": 2}, {"retries": 2}, None),
    ({"maxRetries": 2}, {"retries": 3}, "spec.retries: 3 is more than 2"),
    ({"maxTimeout": "1h"}, {}, None),
    ({"maxTimeout": "30m"}, {}, "spec.timeout: 1h is more than 30m"),
    ({"maxResources": {"memory": "8Gi"}}, {"resources": {"limits": {"memory": "8Gi", "cpu": 99}}}, None),
    (
        {"maxResources": {"memory": "8Gi"}},
        {"resources": {"limits": {"memory": "9Gi"}}},
        "spec.resources.limits.memory: 9Gi is more than 8Gi",
    ),
    (
        {"maxResources": {"ephemeralStorage": "8Gi"}},
        {"resources": {"requests": {"ephemeral-storage": "9Gi"}}},
        "spec.resources.requests.ephemeral-storage: 9Gi",
    ),
    (
        {"maxResources": {"ephemeralStorage": "8Gi", "memory": "1Gi"}},
        {"pod": {"workspace": {"storageClassName": "fast", "sizeLimit": "9Gi"}}},
        "spec.pod.workspace.sizeLimit: 9Gi is more than 8Gi",
    ),
    (
        {"maxResources": {"ephemeralStorage": "8Gi", "memory": "1Gi"}},
        {"pod": {"workspace": {"medium": "Memory", "sizeLimit": "2Gi"}}},
        "spec.pod.workspace.sizeLimit: 2Gi is more than 1Gi",
    ),
    (
        {"maxResources": {"ephemeralStorage": "8Gi"}},
        {"pod": {"workspace": {"sizeLimit": "8Gi"}}},
        None,
    ),
    ({"sources": {"httpHosts": ["files.example"]}}, http("https://files.example/a.tar"), None),
    ({"sources": {"httpHosts": ["files.example"]}}, {}, None),
    (
        {"sources": {"httpHosts": ["files.example"]}},
        http("https://files.example:8443/a.tar"),
        "spec.source.http.url: host 'files.example:8443' is none of files.example",
    ),
    ({"sources": {"httpHosts": ["FILES.example", "*.Example"]}}, http("https://A.example/a"), "host 'a.example' is none"),
    ({"sources": {"httpHosts": ["*.good.example"]}}, http("https://bad.example?.good.example/a"), "host 'bad.example'"),
    ({"sources": {"httpHosts": ["*.good.example"]}}, http("https://bad.example#.good.example/a"), "host 'bad.example'"),
    ({"sources": {"httpHosts": ["*.good.example"]}}, http("https://bad.example\\.good.example/a"), "host 'bad.example'"),
    ({"sources": {"httpHosts": ["good.example"]}}, http("https://bad.example/good.example/a"), "host 'bad.example'"),
    ({"sources": {"httpHosts": []}}, http("https://a.example/a"), "is none of what is allowed, which is nothing"),
    (
        {"sources": {"httpHosts": ["a.example"]}},
        {"contexts": [{"name": "a", "image": "x"}, {"name": "b", "http": {"url": "https://x.example/a"}}]},
        "spec.contexts[1].http.url: host 'x.example' is none of a.example",
    ),
    ({"sources": {"buckets": []}}, {}, None),
    ({"sources": {"buckets": ["s3://ci-*"]}}, s3(bucket="ci-a"), None),
    ({"sources": {"buckets": ["s3://{namespace}-*"]}}, s3(bucket="team-a"), None),
    ({"sources": {"buckets": ["s3://ci"]}}, s3(), "spec.source.s3: bucket 's3://box' is none of s3://ci"),
    (
        {"sources": {"buckets": ["s3://box"]}},
        s3(endpoint="https://minio.example:9000"),
        "spec.source.s3: bucket 'https://minio.example:9000/box' is none of s3://box",
    ),
    ({"sources": {"buckets": ["https://*.example:9000/box"]}}, s3(endpoint="https://minio.example:9000"), None),
    ({"sources": {"buckets": ["gs://box"]}}, {"source": {"gs": {"bucket": "box", "object": "box"}}}, None),
    (
        {"sources": {"buckets": ["s3://box"]}},
        {"source": {"gs": {"bucket": "box", "object": "c.tar"}}},
        "spec.source.gs: bucket 'gs://box' is none of s3://box",
    ),
    ({"sources": {"buckets": ["https://a.blob.core.windows.net/c"]}}, AZURE, None),
    (
        {"sources": {"buckets": ["https://a.blob.core.windows.net/b"]}},
        AZURE,
        "spec.source.azure: bucket 'https://a.blob.core.windows.net/c' is none of",
    ),
    ({"sources": {"kinds": ["git"]}}, AZURE, "spec.source.azure: sources are git"),
    (
        {"sources": {"buckets": ["s3://box"]}},
        {"contexts": [{"name": "a", "image": "x"}, named("s3", bucket="ci-a", key="c.tar")]},
        "spec.contexts[1].s3: bucket 's3://ci-a' is none of s3://box",
    ),
    (
        {"sources": {"buckets": ["https://minio.example/*"]}},
        {"contexts": [named("s3", bucket="box", key="c.tar", endpoint="https://minio.example")]},
        None,
    ),
    (
        {"sources": {"buckets": ["gs://box"]}},
        {"contexts": [named("gs", bucket="other", object="box")]},
        "spec.contexts[0].gs: bucket 'gs://other' is none of gs://box",
    ),
    (
        {"sources": {"buckets": ["https://a.blob.core.windows.net/c"]}},
        {"contexts": [named("azure", url="https://b.blob.core.windows.net/c/x")]},
        "spec.contexts[0].azure: bucket 'https://b.blob.core.windows.net/c' is none of",
    ),
    (
        {"sources": {"kinds": ["git"]}},
        {"contexts": [named("gs", bucket="box", object="a")]},
        "spec.contexts[0].gs: sources are git",
    ),
    (
        {"secrets": []},
        {"contexts": [named("gs", bucket="box", object="a", secret={"name": "keys"})]},
        "spec.contexts[0].gs.secret: Secret 'keys'",
    ),
    ({"secrets": []}, s3(secret={"name": "keys"}), "spec.source.s3.secret: Secret 'keys'"),
    ({"placement": {"nodeSelector": {"pool": "builds"}}}, {}, None),
    ({"placement": {"nodeSelector": {"pool": "builds"}}}, pod(nodeSelector={"disk": "ssd", "pool": "builds"}), None),
    (
        {"placement": {"nodeSelector": {"a.example/b": "c", "pool": "builds"}}},
        pod(nodeSelector={"pool": "control-plane", "a.example/b": ""}),
        "spec.pod.nodeSelector.a.example/b: '' is not 'c'",
    ),
    ({"placement": {"nodeSelector": {"pool": "builds"}}}, pod(priorityClassName="high"), None),
    ({"placement": {"tolerations": [{"key": "builds"}]}}, pod(tolerations=[{"key": "gpu"}]), None),
    ({"placement": {"allowedTaints": ["builds", "spot-*"]}}, pod(tolerations=[{"key": "spot-a"}]), None),
    (
        {"placement": {"allowedTaints": ["builds"]}},
        pod(tolerations=[{"key": "builds"}, {"key": "node-role.kubernetes.io/control-plane"}]),
        "spec.pod.tolerations[1]: taint 'node-role.kubernetes.io/control-plane' is none of builds",
    ),
    (
        {"placement": {"allowedTaints": ["b*"]}},
        pod(tolerations=[{"operator": "Exists"}]),
        "spec.pod.tolerations[0]: every taint is none of b*",
    ),
    ({"placement": {"allowedTaints": ["*"]}}, pod(tolerations=[{"operator": "Exists"}]), None),
    ({"placement": {"allowedTaints": []}}, {}, None),
    ({"placement": {"priorityClassNames": ["builds-*"]}}, pod(priorityClassName="builds-low"), None),
    (
        {"placement": {"priorityClassNames": ["builds-*"]}},
        pod(priorityClassName="system-node-critical"),
        "spec.pod.priorityClassName: 'system-node-critical' is none of builds-*",
    ),
    ({"placement": {"runtimeClassNames": ["{namespace}"]}}, pod(runtimeClassName="runc"), "'runc' is none of {namespace}"),
    ({"placement": {"runtimeClassNames": ["gvisor"]}}, pod(runtimeClassName="gvisor"), None),
    ({"placement": {"runtimeClassNames": [], "defaultRuntimeClassName": "gvisor"}}, {}, None),
    ({"networks": {"deny": ["10.0.0.0/8"], "allow": ["10.1.0.0/16"]}}, {}, None),

)  # fmt: skip
"""Fields of a policy, changes of a spec, and words of the refusal; None where there is none."""
