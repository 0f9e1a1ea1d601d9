"""Whether and how steps can run at a container's own root, where no namespace is to be had.

In Strake's builder image everything of Strake's is under `HOME`, and the root is otherwise empty. So a step's
tree can be moved to the root for the time of the step (*in place*), which finds the runtime's /proc, /dev and
/sys there. Where Strake was installed into somebody's container, the root is full: a step is confined to its
tree by chroot(2), without a /proc.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Final

HOME: Final = "/strake"
"""Where the builder image has all that is Strake's."""
KEPT: Final = frozenset({b"proc", b"dev", b"sys", HOME[1:].encode()})
"""Names at the root that no step's tree takes."""


def runs_in_place(prefix: str = sys.prefix) -> bool:
    """Say whether the builder lives under `HOME`, so that the root is free for the trees of steps."""
    return os.path.realpath(prefix).startswith(HOME + "/")


def container_refusal() -> str | None:
    """Return why steps cannot run at this container's root; None where they can."""
    if os.geteuid() != 0:
        return "the builder is not root"
    if runs_in_place():
        try:
            with tempfile.TemporaryDirectory(prefix=".strake-", dir="/"):
                return None
        except OSError as error:
            return f"the container's root file system cannot be written to: {error.strerror}"
    child = os.fork()
    if child == 0:
        try:
            os.chroot("/")
        except OSError as error:
            os._exit(min(error.errno or 1, 255))
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"chroot(2) is refused: {os.strerror(number)}" if number else None
