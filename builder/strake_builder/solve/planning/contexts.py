"""What a request names to stand in for stages and images: its named contexts, before any is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strake_api.models.source import LayoutImage, NamedContext
from strake_builder.errors import InvalidRequestError
from strake_builder.frontend.model.named_contexts import (
    ContextKind,
    FilesContext,
    ImageContext,
    NamedContexts,
    context_name,
)
from strake_oci.errors import InvalidValueError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import Reference

SCRATCH: Final = "scratch"
"""The image without files."""


@dataclass(frozen=True, slots=True)
class RequestedContexts:
    """The named contexts of a request, by the one form of their names.

    Attributes:
        by_name: as the request has them.
    """

    by_name: Mapping[str, NamedContext]

    @classmethod
    def of(cls, contexts: tuple[NamedContext, ...]) -> RequestedContexts:
        """Check names and references.

        Raises:
            InvalidRequestError: a name could be no image's, two mean the same, or a reference is none.
        """
        by_name: dict[str, NamedContext] = {}
        for context in contexts:
            try:
                name = context_name(context.name)
                if context.image is not None:
                    Reference.parse(context.image)
            except InvalidValueError as error:
                raise InvalidRequestError(
                    f"the named context {context.name!r}: {error.message}", hint=error.hint
                ) from error
            if name in by_name:
                raise InvalidRequestError(
                    f"the named contexts {by_name[name].name!r} and {context.name!r} have the same name"
                )
            by_name[name] = context
        return cls(by_name)

    @property
    def kinds(self) -> NamedContexts:
        """What planning needs to know."""
        return NamedContexts({name: _kind(context) for name, context in self.by_name.items()})

    @property
    def layouts(self) -> dict[str, LayoutImage]:
        """Images in layouts, by the reference that planning has for them."""
        return {_layout_name(each.layout): each.layout for each in self.by_name.values() if each.layout}

    def unused(self, used: frozenset[str]) -> list[str]:
        """Return the names, as the request spells them, of what no needed stage uses."""
        return [context.name for name, context in self.by_name.items() if name not in used]


def _kind(context: NamedContext) -> ContextKind:
    if context.image is not None:
        return ImageContext("" if context.image == SCRATCH else context.image)
    return ImageContext(_layout_name(context.layout)) if context.layout else FilesContext()


def _layout_name(layout: LayoutImage) -> str:
    """Return what stands where an image has a reference; no Dockerfile can write it."""
    tag = f":{layout.tag}" if layout.tag else ""
    return f"oci-layout://{layout.path}{tag}" + (f"@{layout.digest}" if layout.digest else "")
