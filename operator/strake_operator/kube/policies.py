"""The BuildPolicies of the cluster and the labels of its namespaces, as the watches know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from strake_api.buildpolicy import BuildPolicySpec
from strake_operator.reconcile.admission.policy import Policy, runs_allowed, selects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_operator.kube.reading import Object


class Policies:
    """Which policies hold in which namespace."""

    def __init__(self) -> None:
        self._policies: dict[str, Policy] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        self._of: dict[str, tuple[Policy, ...]] = {}
        self._runs: dict[str, int] | None = None

    def policy(self, body: Object, *, gone: bool = False) -> None:
        """Take note of a BuildPolicy."""
        name = body["metadata"]["name"]
        if gone:
            self._policies.pop(name, None)
        else:
            self._policies[name] = read_policy(body)
        self._of.clear()
        self._runs = None

    def namespace(self, body: Object, *, gone: bool = False) -> None:
        """Take note of a namespace and its labels."""
        name = body["metadata"]["name"]
        if gone:
            self._labels.pop(name, None)
        else:
            self._labels[name] = dict(body["metadata"].get("labels") or {})
        self._of.pop(name, None)
        self._runs = None

    def knows(self, namespace: str) -> bool:
        """Return whether it is known which policies hold in a namespace; without policies it always is."""
        return not self._policies or namespace in self._labels

    def of(self, namespace: str) -> tuple[Policy, ...]:
        """Return the policies that hold in a namespace, by name: all, where its labels are not known."""
        if namespace not in self._of:
            labels = self._labels.get(namespace)
            found = tuple(
                policy
                for _, policy in sorted(self._policies.items())
                if policy.spec is None or labels is None or selects(policy.spec.namespace_selector, labels)
            )
            if labels is None:
                return found
            self._of[namespace] = found
        return self._of[namespace]

    def runs(self) -> dict[str, int]:
        """Return how many runs may go on in each namespace whose policies limit them."""
        if self._runs is None:
            limits = {name: runs_allowed(self.of(name)) for name in self._labels if self._policies}
            self._runs = {name: limit for name, limit in limits.items() if limit is not None}
        return self._runs


def read_policy(body: Object) -> Policy:
    """Return a BuildPolicy; one that cannot be read is kept as such, since it must not be passed over."""
    name = body["metadata"]["name"]
    try:
        return Policy(name, BuildPolicySpec.model_validate(body.get("spec") or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Policy(name, None, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}")
