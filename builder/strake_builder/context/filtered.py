"""The context as the build sees it: a directory without what .dockerignore names.

Source: Dockerfile reference, "`.dockerignore` file". A file next to the Dockerfile called
`NAME.dockerignore` is read in place of the context's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from strake_builder.errors import DockerfileError, SourceError
from strake_builder.frontend.patterns.ignore import IgnoreMatcher, read_patterns
from strake_oci.lazy_dataclass import dataclass

_IGNORE_LIMIT: Final = 4 << 20
_DOCKERFILE_LIMIT: Final = 16 << 20


class ContextFilter:
    """Answers for one walk through a context. For one thread: the matcher remembers what it was asked.

    Args:
        patterns: of the ignore file.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._ignore = IgnoreMatcher(patterns)

    def keep(self, path: bytes, is_directory: bool) -> bool:  # noqa: ARG002 - the signature of a copy's filter
        """Say whether the build may see a path, given relative to the context."""
        return not self._ignore.ignores(os.fsdecode(path))

    def enter(self, path: bytes, is_directory: bool) -> bool:  # noqa: ARG002 - as above
        """Say whether something below a directory may be seen, though the directory is ignored."""
        return self._ignore.may_enter(os.fsdecode(path))


@dataclass(frozen=True, slots=True)
class ContextFiles:
    """A context and what of it the build may see.

    Attributes:
        directory: its root.
        patterns: what .dockerignore says, empty where there is none.
    """

    directory: str
    patterns: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is ignored."""
        return not self.patterns

    def without(self, patterns: tuple[str, ...]) -> ContextFiles:
        """Return the same context without what further patterns name, whatever .dockerignore says of it."""
        return replace(self, patterns=(*self.patterns, *patterns)) if patterns else self

    def filter(self) -> ContextFilter:
        """Return what tells which paths may be seen, for one thread."""
        return ContextFilter(self.patterns)


Reader = Callable[[str, int], bytes | None]
"""(path, limit in bytes) → content, or None where there is no such file."""


def read_local(path: str, limit: int) -> bytes | None:
    """Read a file that the person who runs the command names; links are followed.

    Raises:
        SourceError: it cannot be read, or is larger than the limit.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise SourceError(f"{path} is larger than {limit >> 20} MiB")
    return data


def read_dockerfile(path: str, read: Reader = read_local) -> str:
    """Return a Dockerfile's text; bytes that are not UTF-8 come as surrogate escapes.

    Args:
        path: where it is.
        read: reads it. A Dockerfile inside a context must be read so that no link leads out of it: the
            message about a malformed one shows its lines.

    Raises:
        DockerfileError: there is none.
        SourceError: it cannot be read, or is too large.
    """
    content = read(path, _DOCKERFILE_LIMIT)
    if content is None:
        raise DockerfileError(
            f"there is no Dockerfile at {path}",
            hint="name it with --file, or spec.dockerfile in an ImageBuild",
        )
    return content.decode("utf-8", errors="surrogateescape")


def read_ignore_patterns(candidates: Iterable[tuple[str, Reader]]) -> tuple[str, ...]:
    """Return the patterns of the first ignore file that is there; none where there is none.

    Raises:
        SourceError: it cannot be read, or is too large.
        DockerfileError: a pattern is malformed.
    """
    for path, read in candidates:
        content = read(path, _IGNORE_LIMIT)
        if content is not None:
            patterns = tuple(read_patterns(content.decode("utf-8", errors="surrogateescape")))
            IgnoreMatcher(patterns)  # refuses a malformed pattern now, before any work
            return patterns
    return ()
