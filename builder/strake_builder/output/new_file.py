"""Makes files that appear when they are whole, with the permissions that their owner wants.

The builder itself runs with an empty mask, since the modes of an image's files are the image's business.
What it writes for its user has the user's mask.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from strake_builder.errors import OutputError
from strake_builder.output.targets import STANDARD_OUTPUT
from strake_oci.errors import OCIError


@contextmanager
def new_file(path: str, mask: int) -> Iterator[BinaryIO]:
    """Open a file to write; it gets its name when the context ends without an error.

    Args:
        path: where; a file that is there is replaced. `STANDARD_OUTPUT`, a pipe or a device is written to.
        mask: permission bits that the file does not get.

    Raises:
        OutputError: it cannot be written.
    """
    if path == STANDARD_OUTPUT:
        with explained("the standard output"), open(1, "wb", closefd=False) as file:
            yield file
        return
    with explained(path):
        if os.path.isdir(path):
            raise OutputError(f"cannot write to {path}: it is a directory", hint="name a file")
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                yield file
            return
        fd, scratch = tempfile.mkstemp(
            prefix=f".{os.path.basename(path)[:60]}.", dir=os.path.dirname(path) or "."
        )
        try:
            with os.fdopen(fd, "wb") as file:
                yield file
                os.fchmod(fd, 0o666 & ~mask)
            os.replace(scratch, path)
        finally:
            Path(scratch).unlink(missing_ok=True)


@contextmanager
def explained(target: str) -> Iterator[None]:
    """Turn what the library and the system say into an error that names the target.

    Raises:
        OutputError: in place of theirs.
    """
    try:
        yield
    except OCIError as error:
        raise OutputError(f"cannot write the image to {target}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise OutputError(f"cannot write the image to {target}: {error.strerror}") from error
