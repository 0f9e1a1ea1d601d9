"""Which node a builder pod goes to, in the words of Kubernetes' PodSpec.

What each field means is Kubernetes' matter: these models are there so that `kubectl apply` refuses a field
that no pod has, and `kubectl explain` shows those that there are.

Source: Kubernetes API, "Pod", scheduling.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying
from strake_api.values.labels import KEY_PATTERN, LabelKey, LabelValue

LabelValues = Annotated[tuple[LabelValue, ...], Field(max_length=64)]
Labels = Annotated[dict[str, LabelValue], Field(max_length=64)]

TOLERATED: Rule[Toleration] = Rule(
    "(has(self.key) || self.operator == 'Exists') && (self.operator != 'Exists' || !has(self.value))"
    " && (!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute'))",
    "a toleration has a key, or operator Exists for every taint; with Exists it has no value; "
    "tolerationSeconds is for the effect NoExecute",
    lambda given: (
        (given.key is not None or given.operator == "Exists")
        and (given.operator != "Exists" or given.value is None)
        and (given.toleration_seconds is None or given.effect == "NoExecute")
    ),
)
WITH_VALUES: Rule[LabelRequirement] = Rule(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0"
    " : !has(self.values) || self.values.size() == 0",
    "the operators In and NotIn need values; Exists and DoesNotExist have none",
    lambda given: bool(given.values) == (given.operator in {"In", "NotIn"}),
)
NODE_VALUES: Rule[NodeRequirement] = Rule(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0"
    " : self.operator in ['Gt', 'Lt'] ? has(self.values) && self.values.size() == 1"
    " : !has(self.values) || self.values.size() == 0",
    "the operators In and NotIn need values, Gt and Lt one; Exists and DoesNotExist have none",
    lambda given: (
        bool(given.values) == (given.operator not in {"Exists", "DoesNotExist"})
        and (given.operator not in {"Gt", "Lt"} or len(given.values or ()) == 1)
    ),
)


class Toleration(Document):
    """A taint of nodes that the pod may go to in spite of it."""

    model_config = ConfigDict(json_schema_extra=cel_rules(TOLERATED))

    key: LabelKey | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0, le=1 << 31)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, TOLERATED)


class LabelRequirement(Document):
    """What must hold of a label of a pod."""

    model_config = ConfigDict(json_schema_extra=cel_rules(WITH_VALUES))

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: LabelValues | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, WITH_VALUES)


class LabelSelector(Document):
    """Pods, or namespaces, by their labels."""

    match_labels: Labels | None = None
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=16)] | None = None


class NodeRequirement(Document):
    """What must hold of a label, or a field, of a node."""

    model_config = ConfigDict(json_schema_extra=cel_rules(NODE_VALUES))

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: Annotated[tuple[Annotated[str, Field(max_length=253)], ...], Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, NODE_VALUES)


class NodeSelectorTerm(Document):
    """Nodes for which all of it holds."""

    match_expressions: Annotated[tuple[NodeRequirement, ...], Field(max_length=16)] | None = None
    match_fields: Annotated[tuple[NodeRequirement, ...], Field(max_length=16)] | None = None


class NodeSelector(Document):
    """Nodes for which one of the terms holds."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16)]


Weight = Annotated[int, Field(ge=1, le=100)]


class PreferredNodes(Document):
    """Nodes that are better than others."""

    weight: Weight
    preference: NodeSelectorTerm


class NodeAffinity(Document):
    """Nodes that the pod must, or should rather, go to."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[tuple[PreferredNodes, ...], Field(max_length=16)] | None
    ) = None


class PodAffinityTerm(Document):
    """Other pods, and what counts as the same place."""

    topology_key: LabelKey
    label_selector: LabelSelector | None = None
    namespaces: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=64)] | None = (
        None
    )
    namespace_selector: LabelSelector | None = None
    match_label_keys: Annotated[tuple[LabelKey, ...], Field(max_length=16)] | None = None
    mismatch_label_keys: Annotated[tuple[LabelKey, ...], Field(max_length=16)] | None = None


class WeightedPodAffinityTerm(Document):
    """Other pods that it is better to be near to, or far from."""

    weight: Weight
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Document):
    """Other pods whose place the pod must, or should rather, be at, or not be at."""

    required_during_scheduling_ignored_during_execution: (
        Annotated[tuple[PodAffinityTerm, ...], Field(max_length=16)] | None
    ) = None
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[tuple[WeightedPodAffinityTerm, ...], Field(max_length=16)] | None
    ) = None


class Affinity(Document):
    """Where a pod goes by nodes' labels and by other pods."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(Document):
    """How evenly pods are spread over zones or nodes."""

    max_skew: Annotated[int, Field(ge=1, le=1 << 30)]
    topology_key: LabelKey
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    min_domains: Annotated[int, Field(ge=1, le=1 << 30)] | None = None
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    match_label_keys: Annotated[tuple[LabelKey, ...], Field(max_length=16)] | None = None


def label_keys(field: str) -> Rule[dict[str, str]]:
    """Return the rule for a map by labels' keys, which a schema cannot give a pattern."""
    return Rule(
        f"self.all(key, key.size() <= 317 && key.matches('{KEY_PATTERN}'))",
        f"each key of {field} is written as Kubernetes writes labels: NAME or DOMAIN/NAME",
        lambda given: all(re.fullmatch(KEY_PATTERN, key, re.ASCII) for key in given),
    )
