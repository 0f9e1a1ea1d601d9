"""What commands share that ask registries and build nothing: what stops them, and how they end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from strake_builder.cli.signals import cancel_on_signal
from strake_builder.errors import BuildError, InvalidRequestError
from strake_builder.unforeseen import internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.cancellation import Cancellation
    from strake_oci.spec.reference import Reference


def run_command(work: Callable[[Cancellation], None]) -> int:
    """Do what a command does; return the exit status.

    A signal cancels the work, the second one ends the process. An error is a sentence on standard error and
    decides the exit status, an unexpected one too.

    Args:
        work: Gets what cancels it, and prints its result itself.
    """
    from strake_oci.cancellation import Cancellation

    cancellation = Cancellation()
    cancel_on_signal(cancellation, once=True)
    try:
        work(cancellation)
    except BuildError as error:
        reason = error
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        reason = internal_error(error)
    else:
        return 0
    if isinstance(cancellation.reason, BuildError):
        reason = cancellation.reason  # what breaks because it was stopped is not why it failed
    sys.stderr.write(reason.for_terminal() + "\n")
    return reason.exit_status


def read_reference(text: str) -> Reference:
    """Return the reference that a person typed, with the tag `latest` where it names none.

    Raises:
        InvalidRequestError: It is no reference.
    """
    from strake_oci.errors import InvalidValueError
    from strake_oci.spec.reference import Reference

    try:
        return Reference.parse(text).with_default_tag()
    except InvalidValueError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
