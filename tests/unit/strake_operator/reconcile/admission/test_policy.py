"""What a BuildPolicy forbids and changes, field by field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from strake_api.buildpolicy import BuildPolicySpec, NamespaceSelector
from strake_api.requests.build import ImageRule
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_for
from strake_operator.reconcile.admission.policy import (
    Policy,
    denial,
    effective,
    runs_allowed,
    secrets_of,
    selects,
)
from strake_operator.reconcile.decide import decide
from strake_operator.settings.default_cache import RepositoryTemplate
from strake_operator.settings.environment import DefaultResources
from strake_operator.settings.sigstore import read_sigstore
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import NOW, SETTINGS, reason, run, seen
from tests.unit.strake_operator.manifests.test_manifests import RUN
from tests.unit.strake_operator.reconcile.admission.policy_cases import CASES, spec
from tests.unit.strake_operator.reconcile.decisions import started


def policy(name="strict", **fields):
    return Policy(name, BuildPolicySpec.model_validate(fields))


@pytest.mark.parametrize(("fields", "changes", "words"), CASES)
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


def test_the_lowest_ceiling_of_each_resource_is_known_with_its_policy():
    policies = [
        policy("wide", maxResources={"memory": "1Gi", "cpu": "8"}),
        policy("narrow", maxResources={"memory": "128Mi", "ephemeralStorage": "5Gi"}),
    ]
    found = {(each.resource, each.amount, each.policy) for each in effective(SETTINGS, policies).ceilings}
    assert found == {
        ("memory", "128Mi", "narrow"),
        ("cpu", "8", "wide"),
        ("ephemeral-storage", "5Gi", "narrow"),
    }


def test_settings_of_a_namespace():
    policies = [
        policy(isolation="nested"),
        policy(defaultCacheRepository="r.example/{namespace}/cache"),
        policy("first", logRepository="r.example/{namespace}/logs"),
        policy("second", logRepository="r.example/{namespace}/others"),
    ]
    settings = effective(SETTINGS, policies)
    assert settings.isolation == "nested"
    assert settings.default_cache == RepositoryTemplate("r.example/{namespace}/cache")
    assert settings.log_repository == RepositoryTemplate("r.example/{namespace}/logs")
    assert effective(SETTINGS, []) == SETTINGS


def test_rules_about_base_images_are_the_builders():
    key = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
    policies = [
        policy("golden", baseImages={"names": ["r.example/{namespace}/*"]}),
        policy("pinned", baseImages={"requireDigest": True}),
        policy("signed", baseImages={"signedBy": [key]}),
    ]
    request = request_for(spec(), "team", effective(SETTINGS, policies))
    assert request.image_rules == (
        ImageRule(policy="golden", names=("r.example/team/*",)),
        ImageRule(policy="pinned", require_digest=True),
        ImageRule(policy="signed", signed_by=(key,)),
    )
    assert denial(spec(), "team", policies) is None


ROOT = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
CONFIG = json.dumps(
    {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": ROOT,
        "signingConfig": {"caUrls": []},
    }
)


@pytest.mark.parametrize(
    ("own", "config", "root"),
    [
        (None, "", None),
        (None, CONFIG, json.dumps(ROOT, separators=(",", ":"))),
        (json.dumps({**ROOT, "tlogs": []}), CONFIG, json.dumps({**ROOT, "tlogs": []})),
    ],
)
def test_identities_come_with_who_vouches_for_them(own, config, root):
    """The policy's trusted root, or what the platform's Sigstore trusts: never the addresses where it signs."""
    wanted = [{"issuer": "https://oidc.example", "subject": "https://git.example/*"}]
    asked = {"signedByIdentities": wanted} | ({"trustedRoot": own} if own else {})
    settings = replace(SETTINGS, sigstore=read_sigstore({"STRAKE_SIGSTORE_CONFIG": config}))
    policies = [policy("signed", baseImages=asked), policy("named", baseImages={"names": ["*"]})]
    first, second = request_for(spec(), "team", effective(settings, policies)).image_rules
    assert first.to_dict()["identities"] == wanted
    assert (first.policy, first.signed_by, first.trusted_root) == ("signed", None, root)
    assert (second.identities, second.trusted_root) == (None, None)
    assert denial(spec(), "team", policies) is None


def test_source_policies_are_the_builders():
    rules = [
        {"rules": [{"action": "DENY", "selector": {"identifier": f"docker-image://{host}/*"}}]}
        for host in ("a.example", "b.example")
    ]
    policies = [policy(f"p{n}", sourcePolicy=each) for n, each in enumerate(rules)]
    request = request_for(spec(), "team", effective(SETTINGS, policies))
    denied = [each.rules[0].selector.identifier for each in request.source_policies]
    assert denied == ["docker-image://a.example/*", "docker-image://b.example/*"]


def test_checks_of_policies_stay_beside_a_check_of_the_build_with_their_name():
    check = {"name": "cves", "kind": "scan", "image": "r.example/grype:1"}
    own = {"name": "cves", "kind": "test", "command": ["/bin/true"], "warnOnly": True}
    policies = [policy("first", verify=[check]), policy("second", verify=[{**check, "failOn": "low"}])]
    request = request_for(spec(verify=[own]), "team", effective(SETTINGS, policies))
    assert [(each.policy, each.name, each.fail_on) for each in request.required_checks] == [
        ("first", "cves", None),
        ("second", "cves", "low"),
    ]
    assert [each.kind for each in request.verify] == ["test"]


def test_a_forbidden_build_fails_before_it_has_a_job():
    refused = decide(replace(seen(), denial="BuildPolicy strict forbids x"), SETTINGS, NOW)
    assert (refused.actions, reason(refused.status)) == ((), "PolicyDenied")
    assert present(refused.status.failure).message == "BuildPolicy strict forbids x"
    going = decide(
        replace(seen(run(), status=started()), denial="BuildPolicy strict forbids x"), SETTINGS, NOW
    )
    assert going.status.phase == "Building", "a policy is for starts"


def test_pods_are_given_what_policies_say():
    one = policy("a", placement={"nodeSelector": {"pool": "builds"}, "tolerations": [{"key": "builds"}]})
    two = policy(
        "b",
        placement={
            "nodeSelector": {"zone": "x"},
            "defaultPriorityClassName": "low",
            "defaultRuntimeClassName": "gvisor",
        },
    )
    settings = effective(SETTINGS, [one, two])
    asked = spec(pod={"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "spot"}]})
    template = builder_job(RUN, asked, settings)["spec"]["template"]["spec"]
    assert template["nodeSelector"] == {
        "disk": "ssd",
        "pool": "builds",
        "zone": "x",
        "kubernetes.io/os": "linux",
    }
    assert [each["key"] for each in template["tolerations"]] == ["spot", "builds"]
    assert (template["priorityClassName"], template["runtimeClassName"]) == ("low", "gvisor")


def test_a_spec_that_names_classes_keeps_them():
    given = policy(placement={"defaultPriorityClassName": "low", "defaultRuntimeClassName": "gvisor"})
    asked = spec(pod={"priorityClassName": "high", "runtimeClassName": "kata"})
    template = builder_job(RUN, asked, effective(SETTINGS, [given]))["spec"]["template"]["spec"]
    assert (template["priorityClassName"], template["runtimeClassName"]) == ("high", "kata")


def test_policies_that_contradict_each_other_say_so():
    one, two = (policy(name, placement={"nodeSelector": {"pool": name}}) for name in ("a", "b"))
    told = denial(spec(), "team", [one, two])
    assert told == (
        "BuildPolicy b forbids nodes that BuildPolicy a demands: pool is to be 'b' and 'a', so the platform "
        "team must change one of them"
    )


def test_a_build_is_asked_to_obey_a_policys_networks():
    settings = effective(SETTINGS, [policy(networks={"deny": ["192.0.2.0/24"], "allow": ["10.0.0.0/8"]})])
    networks = request_for(spec(), "team", settings).networks
    assert "192.0.2.0/24" in networks.denied
    assert "10.0.0.0/8" in networks.allowed


@pytest.mark.parametrize("end", ["?", "#", "\\"])
def test_a_git_host_ends_where_urls_end_it(end):
    asked = spec(source={"git": {"url": f"https://bad.example{end}.good.example/a"}})
    told = denial(asked, "team", [policy(sources={"gitHosts": ["*.good.example"]})])
    assert "host 'bad.example' is none of *.good.example" in present(told)
