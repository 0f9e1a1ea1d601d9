"""Who an object belongs to, by its controller owner reference.

Source: Kubernetes, "Owners and Dependents"; an object has one controller at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def controller(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the owner reference of an object's controller; None where it has none."""
    references = body["metadata"].get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), None)


def is_controlled_by(body: Mapping[str, Any], kind: str, uid: str) -> bool:
    """Return whether an object names a controller of this kind and UID."""
    owner = controller(body)
    return owner is not None and (owner.get("kind"), owner.get("uid")) == (kind, uid)
