"""What a request names and does not hold: values of arguments, secrets and SSH keys, in mounted files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.requests.build import ARGUMENT_LIMIT, BuildArg, BuildRequest
from strake_builder.cli.validation import read_bounded, validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_builder.solve.inputs import RunInputs

_LIMIT: Final = 1 << 20
"""Bytes: no Secret is larger."""


def with_argument_values(request: BuildRequest) -> BuildRequest:
    """Return a request with the values of arguments that it names files for.

    Raises:
        InvalidRequestError: one cannot be read, or is no value of an argument.
    """
    if all(argument.file is None for argument in request.args):
        return request
    args = tuple(argument if argument.file is None else _read_argument(argument) for argument in request.args)
    with validated("args"):  # an epoch is checked again
        return BuildRequest.model_validate(request.model_copy(update={"args": args}).to_dict())


def _read_argument(argument: BuildArg) -> BuildArg:
    what = f"the value of the argument {argument.name}"
    try:
        value = _read(what, argument.file or "").decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{what} is no text in UTF-8") from error
    if "\0" in value:
        raise InvalidRequestError(f"{what} contains a null character, which no environment can hold")
    if len(value) > ARGUMENT_LIMIT:
        raise InvalidRequestError(f"{what} has {len(value)} characters and may have {ARGUMENT_LIMIT}")
    return BuildArg(name=argument.name, value=value)


def read_run_inputs(request: BuildRequest) -> RunInputs:
    """Return the secrets and keys that a request names files for.

    Raises:
        InvalidRequestError: one cannot be read.
    """
    from strake_builder.solve.inputs import RunInputs

    return RunInputs(
        secrets={each.id: _read(f"the secret {each.id!r}", each.path) for each in request.secrets},
        ssh_keys={each.id: (_read(f"the SSH key {each.id!r}", each.path),) for each in request.ssh},
    )


def _read(what: str, path: str) -> bytes:
    return read_bounded(what, path, _LIMIT)
