"""The context as the build sees it: a directory without what .dockerignore names.

Source: Dockerfile reference, "`.dockerignore` file". A file next to the Dockerfile called
`NAME.dockerignore` is read in place of the context's own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from strake_builder.errors import DockerfileError, SourceError
from strake_builder.frontend.ignore import IgnoreMatcher, read_patterns

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

    def filter(self) -> ContextFilter:
        """Return what tells which paths may be seen, for one thread."""
        return ContextFilter(self.patterns)


def read_dockerfile(path: str) -> str:
    """Return a Dockerfile's text; bytes that are not UTF-8 come as surrogate escapes.

    Raises:
        DockerfileError: there is none, or it is too large.
    """
    content = _read(path, _DOCKERFILE_LIMIT)
    if content is None:
        raise DockerfileError(
            f"there is no Dockerfile at {path}",
            hint="name it with --file, or spec.dockerfile in an ImageBuild",
        )
    return content


def read_ignore_file(directory: str, dockerfile: str) -> tuple[str, ...]:
    """Return the patterns of what a context ignores.

    Args:
        directory: the context.
        dockerfile: path of the Dockerfile.

    Raises:
        SourceError: the file is too large.
        DockerfileError: a pattern is malformed.
    """
    for path in (f"{dockerfile}.dockerignore", os.path.join(directory, ".dockerignore")):
        text = _read(path, _IGNORE_LIMIT)
        if text is not None:
            patterns = tuple(read_patterns(text))
            IgnoreMatcher(patterns)  # refuses a malformed pattern now, before any work
            return patterns
    return ()


def _read(path: str, limit: int) -> str | None:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise SourceError(f"{path} is larger than {limit >> 20} MiB")
    return data.decode("utf-8", errors="surrogateescape")
