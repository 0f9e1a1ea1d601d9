"""What `--build-arg` gives, the same for every command that has it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from strake_builder.errors import InvalidRequestError

HELP = "a value for an ARG; without =VALUE that of the environment's variable, if it is set"


def build_arguments(given: Iterable[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the build arguments by name; the last of one name counts.

    A name without a value takes it from the environment. Where the environment has none, it is as if it had
    not been given, so that the Dockerfile's default counts: as for docker, buildx and kaniko.

    Args:
        given: "NAME=VALUE" or "NAME" each.
        environment: variables by name.

    Raises:
        InvalidRequestError: a name is empty.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise InvalidRequestError(
                f"--build-arg {text!r} has no name", hint="write NAME=VALUE, or NAME alone"
            )
        if equals or name in environment:
            found[name] = value if equals else environment[name]
    return found
