"""One policy for trying again: what is worth it, how long to wait, and when to stop.

The decision is a pure function of the policy; `Retrier` adds the clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from strake_oci.cancellation import Cancellation
from strake_oci.errors import ConnectionFailedError, ForbiddenAddressError, RegistryError, TLSError
from strake_oci.lazy_dataclass import dataclass

T = TypeVar("T")

_WORTH_IT: Final = frozenset({408, 429})
_SERVER_ERRORS: Final = range(500, 600)
_STAYING: Final = frozenset({501, 505, 511})
"""Of the server's errors those that say what it will never do."""
MANIFEST_BLOB_UNKNOWN: Final = "MANIFEST_BLOB_UNKNOWN"
"""Code of a manifest that refers to a blob which the registry does not find (distribution-spec, code-5).

Blobs are pushed before their manifest, so a registry that says so has lost sight of one for a moment:
distribution 2.8 while another client pushes the same blob to the same repository, others until their storage
is consistent.
"""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try.

    Attributes:
        attempts: At most, the first included.
        base: Seconds before the second attempt; doubled each time.
        cap: Seconds to wait at most, unless the registry asks for more.
        deadline: Seconds after which no further attempt is begun.
        jitter: The share of a delay that is left to chance, so that many builders do not come back together.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 20.0
    deadline: float = 180.0
    jitter: float = 0.5

    def delay(self, attempt: int, elapsed: float, error: RegistryError, chance: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: How many were made.
            elapsed: Seconds since the first began.
            error: What ended the last.
            chance: A random number in [0, 1).
        """
        if attempt >= self.attempts or not is_temporary(error):
            return None
        delay = min(self.cap, self.base * 2 ** (attempt - 1))
        delay *= 1 - self.jitter * chance
        delay = max(delay, error.context.retry_after)
        return delay if elapsed + delay <= self.deadline else None


NO_RETRIES: Final = RetryPolicy(attempts=1)


def is_temporary(error: RegistryError) -> bool:
    """Tell whether the same request may succeed later."""
    if isinstance(error, TLSError | ForbiddenAddressError) or "NXDOMAIN" in error.context.codes:
        return False
    status = error.context.status
    passing = status in _WORTH_IT or (status in _SERVER_ERRORS and status not in _STAYING)
    passing = passing or MANIFEST_BLOB_UNKNOWN in error.context.codes
    return isinstance(error, ConnectionFailedError) or passing


def parse_retry_after(value: str, now: float) -> float:
    """Return the seconds that a Retry-After header asks for: number or date (RFC 9110, 10.2.3); 0 for none.

    Args:
        value: The header, or "".
        now: Seconds since the epoch.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


class Retrier:
    """Runs an attempt until it succeeds or the policy ends it. Thread-safe.

    Args:
        policy: How hard to try.
        clock: Seconds, monotonic.
        cancellation: Ends every wait, and lets no further attempt begin.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        cancellation: Cancellation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._cancellation = cancellation or Cancellation()

    def run(self, attempt: Callable[[], T]) -> T:
        """Return what the attempt returns.

        Raises:
            RegistryError: The last attempt's; its context tells how often and how long was tried.
        """
        begun = self._clock()
        made = 0
        while True:
            made += 1
            try:
                return attempt()
            except RegistryError as error:
                elapsed = self._clock() - begun
                if not self.pause(made, elapsed, error):
                    raise (with_attempts(error, made, elapsed) if made > 1 else error) from error.__cause__

    def pause(self, attempts: int, elapsed: float, error: RegistryError) -> bool:
        """Wait before the next attempt; return False if there is to be none.

        Args:
            attempts: How many were made.
            elapsed: Seconds since the first began.
            error: What ended the last.
        """
        delay = self.policy.delay(attempts, elapsed, error, random.random())  # noqa: S311 no secret depends on it
        return delay is not None and not self._cancellation.wait(delay)


def with_attempts(error: RegistryError, attempts: int, elapsed: float) -> RegistryError:
    """Return the error with how often and how long was tried."""
    context = replace(error.context, attempts=attempts, elapsed=elapsed)
    return type(error)(context, error.reason, hint=error.hint)
