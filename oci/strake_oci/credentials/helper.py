"""Credential helper programs: `docker-credential-<name>` (docker/docker-credential-helpers, "Development").

A program gets the registry on its standard input and prints JSON. It is untrusted code on an unknown
machine: it gets a time limit, its output a size limit, and its answer is remembered for a while.
"""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from strake_oci.credentials import bounded_process
from strake_oci.credentials.credential import Credential
from strake_oci.errors import CredentialError, InvalidDocumentError, SizeExceededError
from strake_oci.spec.reference import DEFAULT_REGISTRY
from strake_oci.spec.wire import Text, WireModel, decode, encode
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_LIMIT: Final = 30.0
"""Seconds a helper may take; some ask a cloud's API."""

REMEMBERED: Final = 300.0
"""Seconds an answer is used again. The shortest-lived tokens that helpers hand out live for fifteen
minutes.
"""

_MAX_ANSWER: Final = 256 * 1024
_MAX_WORDS: Final = 300
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_HUB: Final = "https://index.docker.io/v1/"
_TOKEN_USER: Final = "<token>"  # noqa: S105 the protocol's marker for an identity token
_NOT_FOUND: Final = "credentials not found in native keychain"


class _AnswerModel(WireModel):
    username: Annotated[Text, Field(alias="Username")] = ""
    secret: Annotated[Text, Field(alias="Secret")] = ""


def get(helper: str, registry: str, configured_in: str, time_limit: float = TIME_LIMIT) -> Credential | None:
    """Ask a helper for a registry's credential; None if it has none.

    Args:
        helper: What follows "docker-credential-" in the program's name.
        registry: Host and port.
        configured_in: The file that names the helper, for errors.
        time_limit: Seconds.

    Raises:
        CredentialError: The program is missing, fails, takes too long or talks nonsense.
    """
    output = _run(helper, "get", _server(registry).encode(), configured_in, time_limit)
    if output is None:
        return None
    try:
        answer = decode(_AnswerModel, output, what="answer", limit=_MAX_ANSWER)
    except (InvalidDocumentError, SizeExceededError) as error:
        raise CredentialError(f"docker-credential-{helper}: {error.message}") from None
    if not answer.secret:
        return None
    source = f"docker-credential-{helper} (named in {configured_in})"
    if answer.username == _TOKEN_USER:
        return Credential(source, identity_token=answer.secret)
    return Credential(source, answer.username, answer.secret)


def is_installed(helper: str) -> bool:
    """Tell whether there is a helper's program."""
    return bool(_NAME.fullmatch(helper)) and shutil.which(f"docker-credential-{helper}") is not None


def store(helper: str, registry: str, username: str, secret: str, configured_in: str) -> None:
    """Have a helper keep a credential.

    Raises:
        CredentialError: The program is missing, fails or takes too long.
    """
    document = {"ServerURL": _server(registry), "Username": username, "Secret": secret}
    _run(helper, "store", encode(document), configured_in, TIME_LIMIT)


def erase(helper: str, registry: str, configured_in: str) -> None:
    """Have a helper forget a credential.

    Raises:
        CredentialError: The program is missing, fails or takes too long.
    """
    _run(helper, "erase", _server(registry).encode(), configured_in, TIME_LIMIT)


class HelperCache:
    """Remembers answers, so that a build does not start a program for each request. Thread-safe.

    Args:
        ask: Asks a helper, as `get` does.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        ask: Callable[[str, str, str], Credential | None] = get,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._known: TTLCache[tuple[str, str], Credential | None] = TTLCache(clock)

    def get(self, helper: str, registry: str, configured_in: str) -> Credential | None:
        """Return a helper's credential for a registry, or None; threads that ask at once share one answer."""
        return self._known.get(
            (helper, registry), lambda: (self._ask(helper, registry, configured_in), REMEMBERED)
        )


def _server(registry: str) -> str:
    return _HUB if registry == DEFAULT_REGISTRY else registry


def _run(helper: str, action: str, data: bytes, configured_in: str, time_limit: float) -> bytes | None:
    """Run a helper; return its output, None where it says that it has no such credential."""
    program = f"docker-credential-{helper}"
    if not _NAME.fullmatch(helper):
        raise CredentialError(f"{configured_in}: {helper[:60]!r} is not the name of a credential helper")
    path = shutil.which(program)
    if path is None:
        raise CredentialError(
            f"{program}, named in {configured_in}, is not installed",
            hint="install it, or take it out of credHelpers or credsStore",
        )
    try:
        done = bounded_process.run([path, action], data, seconds=time_limit, limit=_MAX_ANSWER)
    except TimeoutError:
        raise CredentialError(
            f"{program} took more than {time_limit:.0f} seconds",
            hint=f"try it by hand: echo {data.decode()} | {program} {action}" if action == "get" else "",
        ) from None
    except bounded_process.TooMuchOutputError:
        raise CredentialError(f"{program} printed more than {_MAX_ANSWER} bytes and was stopped") from None
    except OSError as error:
        raise CredentialError(f"{program} cannot be started: {error.strerror}") from error
    if done.status == 0:
        return done.output
    # By the protocol errors come on standard output. They are the helper's words, not the secret's.
    words = _printable((done.output or done.complaint)[:_MAX_WORDS])
    if _NOT_FOUND in words:
        return None
    raise CredentialError(f"{program} {action} failed: {words or f'status {done.status}'}")


def _printable(words: bytes) -> str:
    text = " ".join(words.decode("utf-8", "replace").split())
    return "".join(character if character.isprintable() else "?" for character in text)
