"""Values of kaniko's flags that are read in its way."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import FileTarget, TreeArchiveTarget, TreeTarget


def targets(given: Iterable[str]) -> list[str]:
    """Return the names of stages in `--target`, more than once or with commas; each once."""
    return list(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))


def left_out_paths(given: Iterable[str], files: Sequence[FileTarget]) -> frozenset[bytes]:
    """Return the paths of `--ignore-path`, from the root of an image and without a slash before them.

    Raises:
        InvalidRequestError: one is no absolute path, or is all there is; or files are written that are no
            layers.
    """
    paths = set[bytes]()
    for text in given:
        path = posixpath.normpath(text)
        if not path.startswith("/") or path.strip("/") == "":
            hint = "write a path of the image, such as /var/cache/apt"
            raise InvalidRequestError(f"--ignore-path {text!r} is no path under the root", hint=hint)
        paths.add(path.strip("/").encode(errors="surrogateescape"))
    if paths and any(isinstance(each, TreeTarget | TreeArchiveTarget) for each in files):
        raise InvalidRequestError(
            "--ignore-path is about layers, and --output type=local and type=tar write none",
            hint="remove the paths from what is written, or drop the flag",
        )
    return frozenset(paths)
