"""Named contexts: what the caller of a build puts in place of stages and images of some names.

Source: BuildKit's Dockerfile frontend, `NamedContext`. A name is looked up as an image's: `alpine`,
`alpine:latest` and `docker.io/library/alpine` are one. Nothing stands in for `scratch` and `context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, TypeAlias

from strake_oci.errors import InvalidReferenceError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import DEFAULT_TAG, Reference

_NEVER: Final = frozenset({"scratch", "context"})


@dataclass(frozen=True, slots=True)
class ImageContext:
    """An image. `reference` is what the builder resolves it by, and "" an image without layers and config."""

    reference: str


@dataclass(frozen=True, slots=True)
class FilesContext:
    """Files without an image's configuration: a directory, a repository, a download."""


ContextKind: TypeAlias = ImageContext | FilesContext


def context_name(name: str) -> str:
    """Return the one form of all names that mean the same context.

    Raises:
        InvalidReferenceError: The name could be no image's, so no instruction could mean it.
    """
    return Reference.parse(name).familiar.removesuffix(f":{DEFAULT_TAG}")


@dataclass(frozen=True, slots=True)
class NamedContexts:
    """All named contexts of a build.

    Attributes:
        kinds: What each is, by the form of its name that `context_name` returns.
    """

    kinds: Mapping[str, ContextKind] = field(default_factory=dict)

    def find(self, name: str) -> tuple[str, ContextKind] | None:
        """Return the context that stands in for a stage or an image, with its name; None where none does."""
        if not self.kinds or name.lower() in _NEVER:
            return None
        try:
            wanted = context_name(name)
        except InvalidReferenceError:
            return None
        found = self.kinds.get(wanted)
        return None if found is None else (wanted, found)
