"""A Dockerfile at a URL, as kaniko's `--dockerfile` takes it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Final

from strake_builder.cli.contexts.sources import is_web
from strake_builder.errors import SourceError

if TYPE_CHECKING:
    from strake_oci.http.denied_networks import DeniedNetworks

_LIMIT: Final = 1 << 20
"""Bytes of a Dockerfile."""


def remote_dockerfile(named: str | None, networks: DeniedNetworks) -> tuple[str, str] | None:
    """Return what messages call a Dockerfile at a URL, and its text; None where none is at a URL.

    Args:
        named: the value of `--dockerfile`.
        networks: what must not be reached.

    Raises:
        SourceError: it cannot be had, or is no text.
    """
    if named is None or not is_web(named):
        return None
    from strake_builder.context.downloads import Downloads
    from strake_builder.context.git.fetch import redact_url

    shown = redact_url(named)
    with tempfile.TemporaryDirectory(prefix="strake-dockerfile-") as directory:
        path = os.path.join(directory, "Dockerfile")
        try:
            Downloads(networks=networks).fetch(named, path, None, limit=_LIMIT)
            with open(path, encoding="utf-8") as file:
                return shown, file.read()
        except UnicodeDecodeError as error:
            raise SourceError(f"the Dockerfile {shown} is no text", hint="check the URL") from error
        except OSError as error:
            raise SourceError(f"cannot keep the Dockerfile {shown}: {error.strerror}") from error
