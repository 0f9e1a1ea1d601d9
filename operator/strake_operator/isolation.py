"""The forms that a builder's pod may have, the strictest first, and which one comes after a refusal.

    NESTED      a user namespace of the pod's own, an unmasked /proc: steps get a namespace inside it
    MASKED      the same with the runtime's /proc: Pod Security `baseline` before Kubernetes 1.35
    CHROOT      steps run at the pod's own root, under RuntimeDefault: a node with a filter for mounts
    HOST_USERS  the same without a user namespace of the pod's own: a node that cannot make one

No form adds a capability to those of an ordinary container. Why a form is refused Kubernetes and the runtimes
tell in words alone, and they are read here, in one place.
"""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from strake_api.result import IsolationKind

IsolationSetting = Literal["auto", "nested", "chroot"]
"""What the platform asks for: the best that can be had, or one kind and no other."""
ISOLATION_VARIABLE: Final = "STRAKE_ISOLATION"

# Words count where they are whole ones: a build, a namespace or an image may be named after each. Fields of a
# pod have capital letters, which no name has.
_BEGINS, _ENDS = r"(?<![-.\w/\"'])", r"(?![-.\w/\"'])"
_USER_NAMESPACES = re.compile(
    rf"[hH]ostUsers|[uU]ser ?namespace|MOUNT_ATTR_IDMAP|{_BEGINS}(userns|id-?mapped|idmap|uid_map){_ENDS}"
)
_PROC = re.compile(
    r"procMount|mount(ing)? (src=)?\"?proc\"?[ ,]|mount(ing)? .{0,80}/proc\b.{0,80}not permitted", re.DOTALL
)
_FILTERS = re.compile(rf"seccompProfile|{_BEGINS}([sS]eccomp|[aA]pp[aA]rmor){_ENDS}")
_ANY_POD = re.compile(r"runAsNonRoot|allowPrivilegeEscalation|runAsUser")
"""What Pod Security `restricted` asks for and no builder can do without."""


@unique
class PodForm(StrEnum):
    """What a builder's pod asks for; the value ends its Job's name."""

    NESTED = "nested"
    MASKED = "masked"
    CHROOT = "chroot"
    HOST_USERS = "hostusers"

    @property
    def kind(self) -> IsolationKind:
        """The way of isolation that the builder gets as a flag."""
        return "nested" if self in {PodForm.NESTED, PodForm.MASKED} else "chroot"

    @property
    def rank(self) -> int:
        """The place among the forms: the lowest is the strictest."""
        return list(PodForm).index(self)


def is_about_isolation(words: str) -> bool:
    """Return whether a refusal is about what only some forms of the pod ask for."""
    patterns = (_USER_NAMESPACES, _PROC, _FILTERS)
    return not _ANY_POD.search(words) and any(pattern.search(words) for pattern in patterns)


def form_after(form: PodForm, words: str, setting: IsolationSetting) -> PodForm | None:
    """Return the form to try after the cluster or a node refused one; None where nothing is left.

    Args:
        form: What was refused.
        words: Why, as Kubernetes or the container runtime says it.
        setting: What the platform allows.
    """
    if _USER_NAMESPACES.search(words) and not _PROC.search(words):
        after = PodForm.HOST_USERS
    elif form is PodForm.NESTED and _PROC.search(words):
        after = PodForm.MASKED
    else:
        after = PodForm.CHROOT
    return after if after.rank > form.rank and is_allowed(after, setting) else None


def form_after_builder(form: PodForm, setting: IsolationSetting) -> PodForm | None:
    """Return the form to try after a builder found its isolation missing in a pod that runs."""
    return PodForm.CHROOT if form.kind == "nested" and is_allowed(PodForm.CHROOT, setting) else None


def is_allowed(form: PodForm, setting: IsolationSetting) -> bool:
    """Return whether the platform allows a form."""
    return setting in {"auto", form.kind}


def first_form(setting: IsolationSetting) -> PodForm:
    """Return the strictest form that a setting allows."""
    return PodForm.CHROOT if setting == "chroot" else PodForm.NESTED
