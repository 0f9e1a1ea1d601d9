"""Which form of the pod a run begins with: from what nodes and namespaces gave to the runs before it.

A node that once gave no nested pod is not asked by every build again. Which node a pod goes to is the
scheduler's choice, so a run begins with the best form that any node gave lately, and retreats by itself where
a node is worse. What a namespace's rules refuse holds whatever the node.

Each namespace learns for itself: its rules may change pods so that a good node seems to refuse them, and
nobody makes the builds of others less strict. So does each RuntimeClass that its builds name, since what one
runtime cannot another can. All of it is a matter of seconds, kept in memory, and forgotten after a time, for
nodes and rules are mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_operator.isolation import ISOLATION_VARIABLE, PodForm, first_form, is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_operator.isolation import IsolationSetting

REMEMBERED_SECONDS: Final = 3600
"""How long a lesson holds: then a run begins with the strictest form again."""
LONGEST_REASON: Final = 500
"""Characters of a reason: it stands in a status, and in the annotation of a Job."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """The strictest form that a node gives to the pods of a namespace, as far as it was tried."""

    node: str | None
    """None where the namespace's rules decided, whatever the node."""
    namespace: str
    form: PodForm
    why: str | None = None
    """What refused the form before it; None where the form worked."""
    runtime_class: str | None = None
    """Which RuntimeClass the build named; None where it left that to the platform."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The form that a run begins with."""

    form: PodForm = PodForm.NESTED
    why: str | None = None
    """Why it is no stricter one; None for the strictest."""


STRICTEST: Final = Beginning()
"""What a run begins with where nothing is known."""


def beginning(
    lessons: Iterable[Lesson], namespace: str, setting: IsolationSetting, runtime_class: str | None = None
) -> Beginning:
    """Return the form that a run in a namespace begins with.

    Args:
        lessons: What was learned lately, of all namespaces; at most one of a node, a namespace and a class.
        namespace: Where the run is to start.
        setting: What the platform allows: what it does not is no choice.
        runtime_class: What the run's build names.
    """
    place = (namespace, runtime_class)
    own = [each for each in lessons if (each.namespace, each.runtime_class) == place]
    own = [each for each in own if is_allowed(each.form, setting)]
    nodes = [each for each in own if each.node is not None]
    rules = [each for each in own if each.node is None]
    why = f"the platform sets {ISOLATION_VARIABLE}=chroot" if setting == "chroot" else None
    found = [Beginning(first_form(setting), why)]
    if nodes:
        best = min(nodes, key=lambda lesson: lesson.form.rank)
        found.append(Beginning(best.form, best.why and f"no node gave a better one lately: {best.why}"))
    found += [Beginning(each.form, each.why) for each in rules]
    return max(found, key=lambda each: each.form.rank)


def shown_reason(node: str | None, words: str) -> str:
    """Return why a form was refused, for a status: where, and in whose words."""
    text = " ".join(words.split())
    text = f"on node {node}: {text}" if node else text
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
