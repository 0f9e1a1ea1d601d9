"""What a BuildPolicy forbids and changes, field by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.buildpolicy import BuildPolicySpec, NamespaceSelector
from strake_api.imagebuild import ImageBuildSpec
from strake_operator.default_cache import CacheTemplate
from strake_operator.reconcile.admission.policy import (
    Policy,
    denial,
    effective,
    runs_allowed,
    secrets_of,
    selects,
)
from strake_operator.reconcile.decide import decide
from strake_operator.settings import DefaultResources
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import NOW, SETTINGS, reason, run, seen
from tests.unit.strake_operator.reconcile.decisions import started


def spec(**changes):
    fields = {
        "source": {"git": {"url": "https://git.example:8443/a.git"}},
        "output": {"destinations": ["r.example/team/app:1"]},
        **changes,
    }
    return ImageBuildSpec.model_validate(fields)


def policy(name="strict", **fields):
    return Policy(name, BuildPolicySpec.model_validate(fields))


def inline(name):
    return {"source": {"inline": {"Dockerfile": "FROM scratch"}}, "output": {"destinations": [name]}}


@pytest.mark.parametrize(
    ("fields", "changes", "words"),
    [
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
        ({"sources": {"kinds": ["git"]}}, {"contexts": [{"name": "a", "image": "x"}]}, None),
        (
            {"sources": {"kinds": ["git"]}},
            {"contexts": [{"name": "a", "http": {"url": "https://x.example/a"}}]},
            "spec.contexts[0].http: sources are git",
        ),
        (
            {"sources": {"gitHosts": ["git.example:8443"]}},
            {"contexts": [{"name": "a", "git": {"url": "https://other.example/a"}}]},
            "spec.contexts[0].git.url: host 'other.example' is none of git.example:8443",
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
        ({"serviceAccounts": ["builder"]}, {}, None),
        ({"serviceAccounts": ["builder"]}, {"serviceAccountName": "builder"}, None),
        ({"serviceAccounts": ["builder"]}, {"serviceAccountName": "admin"}, "spec.serviceAccountName: 'admin'"),
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
    ],
)  # fmt: skip
def test_what_is_forbidden(fields, changes, words):
    told = denial(spec(**changes), "team", [policy(**fields)])
    if words is None:
        assert told is None
    else:
        assert present(told).startswith("BuildPolicy strict forbids ")
        assert words in present(told)


def test_all_policies_hold_and_the_one_that_forbids_is_named():
    wide, narrow = policy("wide", destinations=["*"]), policy("narrow", destinations=["r.example/x/*"])
    for both in ([wide, narrow], [narrow, wide]):
        assert "BuildPolicy narrow forbids" in present(denial(spec(), "team", both))


def test_one_that_cannot_be_read_forbids_everything():
    told = denial(spec(), "team", [Policy("odd", None, "spec.maxRuns: too many")])
    assert told == "BuildPolicy odd cannot be read, so nothing is allowed: spec.maxRuns: too many"


def test_secrets_are_found_in_fields_that_nobody_knows_yet():
    document = {
        "secrets": [{"id": "npm", "secretRef": {"name": "npm", "key": "k"}}],
        "ssh": [{"id": "default", "secretRef": {"name": "deploy"}}],
        "args": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "arg"}}}],
        "pod": {"imagePullSecrets": [{"name": "pull"}], "labels": {"name": "no", "secret": "no"}},
        "source": {"inline": {"secret": "a file"}, "configMap": {"name": "no"}},
    }
    assert {name for _, name in secrets_of(document)} == {"npm", "deploy", "arg", "pull"}


LABELS = {"kubernetes.io/metadata.name": "team", "tier": "gold"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "gold"}}, True),
        ({"matchLabels": {"tier": "gold", "x": ""}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "x"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["gold"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors_are_those_of_kubernetes(selector, expected):
    assert selects(NamespaceSelector.model_validate(selector), LABELS) == expected
    assert selects(None, {})


def test_the_lowest_number_of_runs_counts():
    assert runs_allowed([]) is None
    assert runs_allowed([policy(maxRuns=3), policy(), policy(maxRuns=2)]) == 2


def test_defaults_are_lowered_to_the_ceilings():
    policies = [policy(maxResources={"memory": "1Gi", "cpu": "8"}), policy(maxResources={"memory": "128Mi"})]
    resources = effective(SETTINGS, policies).resources
    assert (resources.memory_request, resources.memory_limit) == ("128Mi", "128Mi")
    assert (resources.cpu_request, resources.cpu_limit) == ("250m", "4")
    boundless = replace(SETTINGS, resources=DefaultResources(cpu_limit=None))
    assert effective(boundless, policies).resources.cpu_limit == "8", "no default is no way around a ceiling"


def test_settings_of_a_namespace():
    policies = [policy(isolation="nested"), policy(defaultCacheRepository="r.example/{namespace}/cache")]
    settings = effective(SETTINGS, policies)
    assert settings.isolation == "nested"
    assert settings.default_cache == CacheTemplate("r.example/{namespace}/cache")
    assert effective(SETTINGS, []) == SETTINGS


def test_a_forbidden_build_fails_before_it_has_a_job():
    refused = decide(replace(seen(), denial="BuildPolicy strict forbids x"), SETTINGS, NOW)
    assert (refused.actions, reason(refused.status)) == ((), "PolicyDenied")
    assert present(refused.status.failure).message == "BuildPolicy strict forbids x"
    going = decide(
        replace(seen(run(), status=started()), denial="BuildPolicy strict forbids x"), SETTINGS, NOW
    )
    assert going.status.phase == "Building", "a policy is for starts"
