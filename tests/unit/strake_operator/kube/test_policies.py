"""Which policies hold where, as the watches tell of policies and namespaces."""

from __future__ import annotations

from strake_operator.kube.policies import Policies, read_policy


def policy(name, selector=None, **fields):
    spec = {**fields, **({"namespaceSelector": {"matchLabels": selector}} if selector else {})}
    return {"metadata": {"name": name}, "spec": spec}


def namespace(name="team", **labels):
    return {"metadata": {"name": name, "labels": labels}}


def names(policies, of="team"):
    return [each.name for each in policies.of(of)]


def test_a_policy_is_for_the_namespaces_that_it_selects():
    policies = Policies()
    policies.namespace(namespace(tier="gold"))
    policies.policy(policy("gold", {"tier": "gold"}))
    policies.policy(policy("all"))
    policies.policy(policy("silver", {"tier": "silver"}))
    assert names(policies) == ["all", "gold"]
    policies.namespace(namespace(tier="silver"))
    assert names(policies) == ["all", "silver"]
    policies.policy(policy("all"), gone=True)
    assert names(policies) == ["silver"]


def test_a_namespace_that_is_not_known_yet_gets_no_way_around():
    policies = Policies()
    assert policies.knows("new")
    policies.policy(policy("gold", {"tier": "gold"}))
    assert not policies.knows("new")
    assert names(policies, "new") == ["gold"]
    policies.namespace(namespace("new"))
    assert policies.knows("new")
    assert names(policies, "new") == []


def test_limits_of_namespaces():
    policies = Policies()
    policies.namespace(namespace("a", tier="gold"))
    policies.namespace(namespace("b"))
    assert policies.runs() == {}
    policies.policy(policy("gold", {"tier": "gold"}, maxRuns=7))
    assert policies.runs() == {"a": 7}
    policies.policy(policy("all", maxRuns=9))
    assert policies.runs() == {"a": 7, "b": 9}
    policies.namespace(namespace("a"), gone=True)
    assert policies.runs() == {"b": 9}


def test_a_policy_that_cannot_be_read_is_kept_and_holds_everywhere():
    policies = Policies()
    policies.namespace(namespace())
    policies.policy(policy("odd", {"tier": "gold"}, laterField=1))
    (odd,) = policies.of("team")
    assert odd.spec is None
    assert "laterField" in odd.problem
    assert read_policy({"metadata": {"name": "empty"}}).spec is not None
