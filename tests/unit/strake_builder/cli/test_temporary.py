"""Which failures a build reports as a server's, so that it may start again."""

from __future__ import annotations

import pytest

from strake_builder.cli.building import failed
from strake_builder.errors import BaseImageError, BuildError, OutputError, RunStepError, SourceError
from strake_oci.errors import (
    DeniedError,
    DNSError,
    ErrorContext,
    ForbiddenAddressError,
    ManifestUnknownError,
    OCIError,
    RateLimitedError,
    RejectedError,
    ServerError,
    TLSError,
)


def registry(kind, status=0, codes=()):
    return kind(ErrorContext("r.example", status=status, codes=codes), "it does not work")


def raised(error: BuildError, cause: Exception | None) -> BuildError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause", "is_temporary"),
    [
        (OutputError("cannot push"), registry(ServerError, 503), True),
        (BaseImageError("cannot pull"), registry(RateLimitedError, 429), True),
        (BaseImageError("cannot pull"), registry(DNSError), True),
        (SourceError("cannot fetch"), registry(ServerError, 502), True),
        (BaseImageError("cannot pull"), registry(DNSError, codes=("NXDOMAIN",)), False),
        (OutputError("cannot push"), registry(RejectedError, 400, ("MANIFEST_BLOB_UNKNOWN",)), True),
        (OutputError("cannot push"), registry(RejectedError, 400, ("MANIFEST_INVALID",)), False),
        (OutputError("cannot push"), registry(ServerError, 501), False),
        (OutputError("cannot push"), registry(DeniedError, 403), False),
        (OutputError("cannot push"), registry(TLSError), False),
        (OutputError("cannot push"), registry(ForbiddenAddressError), False),
        (BaseImageError("cannot pull"), registry(ManifestUnknownError, 404), False),
        (BaseImageError("broken"), OCIError("no manifest"), False),
        (RunStepError("RUN make", exit_code=2), None, False),
    ],
)
def test_only_a_server_that_fails_or_is_silent_is_worth_another_try(error, cause, is_temporary):
    assert failed(raised(error, cause), ()).temporary is is_temporary


def test_a_cause_behind_another_counts():
    middle = OCIError("the layer is not there")
    middle.__cause__ = registry(ServerError, 500)
    assert failed(raised(BaseImageError("cannot pull"), middle), ()).temporary
