"""What a build knows about itself, in no form of any document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference

Mode: TypeAlias = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class ImageMaterial:
    """An image that the build read.

    Attributes:
        reference: as the Dockerfile names it; `oci-layout://PATH` for one of an image layout.
        digest: what it resolved to, an index or a manifest.
        platform: that the build took of it.
    """

    reference: str
    digest: Digest
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class ArtifactMaterial:
    """An OCI artifact whose files were a context.

    Attributes:
        reference: its name.
        digest: of its manifest.
    """

    reference: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class GitMaterial:
    """A commit.

    Attributes:
        url: of the repository.
        commit: its full hash.
        ref: the branch or tag that was asked for, "" for none.
        subdirectory: what was used of it, "" for all.
    """

    url: str
    commit: str
    ref: str = ""
    subdirectory: str = ""


@dataclass(frozen=True, slots=True)
class FileMaterial:
    """What a web server served.

    Attributes:
        url: where.
        checksum: "algorithm:hex" of the content.
    """

    url: str
    checksum: str


Material: TypeAlias = ImageMaterial | ArtifactMaterial | GitMaterial | FileMaterial


@dataclass(frozen=True, slots=True)
class Use:
    """A secret or an SSH agent that a step may use, by its name; never its content."""

    id: str
    optional: bool = True


@dataclass(frozen=True, slots=True)
class BuildStep:
    """A step, or a source that steps read.

    Attributes:
        operation: one field named after its kind: `source`, `exec` or `file`; empty for the result.
        inputs: positions of the steps whose results it needs, its base first.
        platform: that it runs for; None where it has none.
        lines: of the Dockerfile, first and last; None where it has none.
        layers: the result's layers, bottom first; empty where the build knows none.
    """

    operation: Mapping[str, object]
    inputs: tuple[int, ...] = ()
    platform: Platform | None = None
    lines: tuple[int, int] | None = None
    layers: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """All that provenance may tell of a build. What is secret in it, `redaction` takes out.

    Attributes:
        context: what the build context is, None where it is local.
        dockerfile: path of the Dockerfile, as it was asked for.
        text: the Dockerfile.
        target: the stage that was asked for, None for the last one.
        arguments: build arguments by name.
        labels: asked for besides those of the Dockerfile.
        form: how the image is written, where that is asked for, by fields of a BuildRequest's output.
        contexts: named contexts: what was given for each name.
        locals: names of what came from a disk, and is known to nobody else.
        materials: everything that came from elsewhere.
        secrets: that steps may use.
        agents: SSH agents, likewise.
        steps: in an order in which inputs come first.
        is_hermetic: no step could reach a network.
        platform: that the image is for.
        builder_platform: that the builder runs on.
        builder_id: URI of who built.
        versions: of the builder's programs.
        invocation: a name of this build that no other has.
        started: when it began.
        finished: when the image was whole.
    """

    started: datetime
    finished: datetime
    platform: Platform
    builder_platform: Platform
    invocation: str
    context: Material | None = None
    dockerfile: str = "Dockerfile"
    text: str = ""
    target: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, object] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    locals: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    secrets: tuple[Use, ...] = ()
    agents: tuple[Use, ...] = ()
    steps: tuple[BuildStep, ...] = ()
    is_hermetic: bool = False
    builder_id: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The image that a statement is about.

    Attributes:
        digest: of its manifest.
        names: under which it is pushed.
        platform: that it is for.
    """

    digest: Digest
    names: tuple[Reference, ...]
    platform: Platform


@dataclass(frozen=True, slots=True)
class FoundSBOM:
    """An SBOM.

    Attributes:
        predicate_type: its format: SPDX or CycloneDX.
        predicate: the document.
    """

    predicate_type: str
    predicate: Mapping[str, Any]
