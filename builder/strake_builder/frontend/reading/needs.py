"""Which stages and images an instruction needs files of, known before any variable is."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.named_contexts import FilesContext, ImageContext, NamedContexts
from strake_builder.frontend.model.steps import (
    FileOrigin,
    FromContext,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
)
from strake_builder.frontend.model.syntax import Copy, Run
from strake_builder.frontend.reading.mounts import mount_from
from strake_builder.frontend.words.lexer import WordLexer
from strake_oci.errors import InvalidReferenceError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_builder.frontend.model.syntax import Dockerfile, Instruction

_INDEX: Final = re.compile(r"[+-]?[0-9]{1,9}\Z")


@dataclass(slots=True)
class Needs:
    """Stages by index, each with an instruction that names it, images, and names of named contexts."""

    stages: dict[int, Instruction] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    contexts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class StageNames:
    """Finds stages by the names and numbers that instructions use.

    Attributes:
        by_name: Index of the stage of a name (lower case); of several, the last.
        count: Number of stages.
        escape: The file's escape character.
        contexts: What stands in for images. What stands in for a stage is that stage's base.
    """

    by_name: Mapping[str, int]
    count: int
    escape: str
    contexts: NamedContexts = field(default_factory=NamedContexts)

    def copy_origin(self, instruction: Copy) -> FileOrigin:
        """Return whose files a COPY copies.

        Raises:
            FaultError: `--from` has a variable, or names no stage and no image.
        """
        name = instruction.from_
        if name is None:
            return FromContext()
        if WordLexer(self.escape).word(name, {}) != name:
            raise FaultError(
                Code.INVALID_FLAG,
                "variable expansion is not supported for --from",
                hint="define a stage with FROM $… AS name above, and copy from that name",
                needle="--from",
            )
        if _INDEX.match(name):
            index = int(name)
            if not 0 <= index < self.count:
                raise FaultError(
                    Code.UNKNOWN_STAGE,
                    f"invalid stage index {index}",
                    hint=f"the file has {self.count} stages, counted from 0",
                    needle="--from",
                )
            return FromStage(index)
        return self.named_origin(name, "--from")

    def mount_origin(self, name: str) -> FileOrigin:
        """Return whose files `--mount=from=name` mounts; "" is the context. Numbers do not count.

        Raises:
            FaultError: The name is that of no stage and can be no image's.
        """
        return self.named_origin(name, "from=") if name else FromContext()

    def named_origin(self, name: str, needle: str) -> FileOrigin:
        """Return the stage or image of a name."""
        index = self.by_name.get(name.lower())
        if index is not None:
            return FromStage(index)
        if name == "scratch":
            return FromScratch()
        check_reference(name, needle)
        match self.contexts.find(name):
            case (context, ImageContext("")):
                return FromScratch(context)
            case (context, ImageContext(reference)):
                return FromImage(reference, context)
            case (context, FilesContext()):
                return FromNamedContext(context)
            case None:
                return FromImage(name)


def check_reference(name: str, needle: str) -> None:
    """Refuse what can be no image's name.

    Raises:
        FaultError: It breaks the grammar of references.
    """
    try:
        Reference.parse(name)
    except InvalidReferenceError as error:
        raise FaultError(Code.INVALID_REFERENCE, error.message, hint=error.hint, needle=needle) from error


def needs_of(
    instructions: Iterable[Instruction], names: StageNames
) -> tuple[Needs, list[tuple[Instruction, FaultError]]]:
    """Collect the needs of instructions, and what is wrong with some of them."""
    needs = Needs()
    faults: list[tuple[Instruction, FaultError]] = []
    for instruction in instructions:
        try:
            for origin in _origins(instruction, names):
                match origin:
                    case FromStage(index):
                        needs.stages.setdefault(index, instruction)
                    case FromImage(reference, context):
                        needs.images.add(reference)
                        needs.contexts |= {context} - {""}
                    case FromNamedContext(context) | FromScratch(context):
                        needs.contexts |= {context} - {""}
                    case FromContext():
                        pass
        except FaultError as fault:
            faults.append((instruction, fault))
    return needs, faults


def _origins(instruction: Instruction, names: StageNames) -> list[FileOrigin]:
    match instruction:
        case Copy():
            return [names.copy_origin(instruction)]
        case Run():
            return [names.mount_origin(mount_from(mount)) for mount in instruction.mounts]
        case _:
            return []


def stage_names(dockerfile: Dockerfile, contexts: NamedContexts) -> StageNames:
    """Return the names under which a file's stages, and what stands in for images, can be found."""
    by_name = {stage.from_.name: i for i, stage in enumerate(dockerfile.stages) if stage.from_.name}
    return StageNames(by_name, len(dockerfile.stages), dockerfile.escape, contexts)
