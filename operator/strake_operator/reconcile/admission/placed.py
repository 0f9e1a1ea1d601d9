"""Where pods of builds may run, and what they get: the part of BuildPolicies about placement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.values.pattern import filled, matches
from strake_operator.settings.environment import DefaultPlacement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from strake_api.buildpolicy import Placement
    from strake_api.imagebuild import ImageBuildSpec


def placement_violations(spec: ImageBuildSpec, namespace: str, allowed: Placement) -> Iterator[str]:
    """Yield what a policy forbids of where a spec wants its pod, and before whom."""
    asked = spec.pod
    if asked is None:
        return
    nodes, wanted = asked.node_selector or {}, allowed.node_selector or {}
    others = [key for key, value in wanted.items() if nodes.get(key, value) != value]
    if others:
        key = min(others)
        yield f"spec.pod.nodeSelector.{key}: {nodes[key]!r} is not {wanted[key]!r}"
    if allowed.allowed_taints is not None:
        for at, each in enumerate(asked.tolerations or ()):
            if not _fits(allowed.allowed_taints, each.key or "", namespace):
                what = f"taint {each.key!r}" if each.key else "every taint"
                yield f"spec.pod.tolerations[{at}]: {what} is none of {listed(allowed.allowed_taints)}"
    for path, name, names in (
        ("priorityClassName", asked.priority_class_name, allowed.priority_class_names),
        ("runtimeClassName", asked.runtime_class_name, allowed.runtime_class_names),
    ):
        if name is not None and names is not None and not _fits(names, name, namespace):
            yield f"spec.pod.{path}: {name!r} is none of {listed(names)}"


def _fits(patterns: Sequence[str], text: str, namespace: str) -> bool:
    return matches((filled(each, namespace) for each in patterns), [text])


def listed(patterns: Sequence[str]) -> str:
    """Return the end of a refusal: what is allowed."""
    return ", ".join(patterns) if patterns else "what is allowed, which is nothing"


def contradiction(policies: Iterable[tuple[str, Placement]]) -> str | None:
    """Return what two policies, which are given with their names, want of one pod that no node can have."""
    seen: dict[str, tuple[str, str]] = {}
    for name, each in policies:
        for key, value in sorted((each.node_selector or {}).items()):
            other, wanted = seen.setdefault(key, (name, value))
            if wanted != value:
                return (
                    f"BuildPolicy {name} forbids nodes that BuildPolicy {other} demands: {key} is to be "
                    f"{value!r} and {wanted!r}, so the platform team must change one of them"
                )
    return None


def with_placement(before: DefaultPlacement, given: Placement) -> DefaultPlacement:
    """Return what pods get after one more policy. Of two default classes that of the first policy counts."""
    tolerations = tuple(each.to_dict() for each in given.tolerations or ())
    return DefaultPlacement(
        node_selector={**(given.node_selector or {}), **before.node_selector},
        tolerations=(*before.tolerations, *(each for each in tolerations if each not in before.tolerations)),
        priority_class=before.priority_class or given.default_priority_class_name,
    )
