"""Where COPY, ADD and mounts take their files from: a closed union."""

from __future__ import annotations

from typing import TypeAlias

from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class FromContext:
    """The build context, after .dockerignore."""


@dataclass(frozen=True, slots=True)
class FromStage:
    """The file system of another stage of the same plan, by index."""

    index: int


@dataclass(frozen=True, slots=True)
class FromImage:
    """The file system of an image that is no stage's base, for the stage's platform.

    Attributes:
        reference: What the builder resolves it by.
        context: Name of the named context that it is, "" where the Dockerfile names the image itself.
    """

    reference: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class FromNamedContext:
    """The files of a named context, by the name that `NamedContexts` has for it."""

    name: str


@dataclass(frozen=True, slots=True)
class FromScratch:
    """An empty file system (`--from=scratch`); `context` as for `FromImage`."""

    context: str = ""


FileOrigin: TypeAlias = FromContext | FromStage | FromImage | FromNamedContext | FromScratch
