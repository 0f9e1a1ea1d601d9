"""The error that ends a command: what failed and why, what to try, and the exit status."""

from __future__ import annotations

from strake_api.text import visible


class CommandError(Exception):
    """A command cannot do what it was asked to.

    Args:
        message: What failed and why, a clause without a full stop.
        hint: What to try, or empty.
        exit_status: Of the command.
    """

    def __init__(self, message: str, *, hint: str = "", exit_status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_status = exit_status

    def for_terminal(self) -> str:
        """Return the error as a person reads it, with what a terminal would obey as text."""
        lines = [f"error: {self.message}"] + ([f"  try: {self.hint}"] if self.hint else [])
        return visible("\n".join(lines))


class NotFoundError(CommandError):
    """There is no such object."""


class ForbiddenError(CommandError):
    """The caller has no right to do this."""


class ExistsError(CommandError):
    """There is an object of the name already."""


class BrokenConnectionError(CommandError):
    """A connection ended before the answer did: it may be asked for again."""
