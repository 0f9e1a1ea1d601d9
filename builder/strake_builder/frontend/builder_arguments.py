"""`BUILDKIT_…`: build arguments that are for the builder and not for the Dockerfile.

The names are those of the Dockerfile reference, "BuildKit built-in build args". One without an effect here
is a warning: who gives it expects one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError
from strake_builder.frontend.check_options import parse_check_options
from strake_builder.frontend.errors import FaultError
from strake_builder.frontend.model.steps import DEFAULT_HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PREFIX: Final = "BUILDKIT_"
CHECK: Final = "BUILDKIT_DOCKERFILE_CHECK"
"""Options of `# check=`, in place of the file's."""
_HOSTNAME: Final = "BUILDKIT_SANDBOX_HOSTNAME"
_CACHE_NAMESPACE: Final = "BUILDKIT_CACHE_MOUNT_NS"
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?")
"""RFC 1123, and as long as sethostname(2) takes it."""
_EFFECTIVE: Final = frozenset({CHECK, _HOSTNAME, _CACHE_NAMESPACE})
_SHOWN_ONLY: Final = frozenset({"BUILDKIT_BUILD_NAME", "BUILDKIT_GIT_ADVICE"})
"""Of those that change nothing but what BuildKit's own tools show."""
_INSTEAD: Final = {
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR": "contexts in git keep .git with ?keep-git-dir=1, and as git+URL",
    "BUILDKIT_DISABLE_FILEOP": "BuildKit removed it in version 0.11",
    "BUILDKIT_INLINE_CACHE": "results of steps are kept in a repository of their own: --cache-repo",
    "BUILDKIT_MULTI_PLATFORM": "an index is made for several platforms: --platform A,B",
    "BUILDKIT_SYNTAX": "no frontend from a registry reads the file",
}
_ATTESTATIONS: Final = "BUILDKIT_ATTEST_"
_SBOM: Final = "BUILDKIT_SBOM_SCAN_"
"""Of which the Dockerfile has to declare those that it means."""
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
"""What Go's strconv.ParseBool takes for false, and nothing."""


def refuse_wrong(build_args: Mapping[str, str]) -> None:
    """Refuse values that the builder cannot use.

    Raises:
        InvalidRequestError: One is no host name, or has no options of `# check=`.
    """
    name = hostname(build_args)
    if not _HOST.fullmatch(name):
        raise InvalidRequestError(
            f"the build argument {_HOSTNAME}={name[:80]!r} is no host name",
            hint="letters, digits, dots and dashes, 64 at most",
        )
    try:
        parse_check_options(build_args.get(CHECK, ""))
    except FaultError as error:
        raise InvalidRequestError(
            f"the build argument {CHECK}: {error.message}",
            hint="write skip=Rule,Rule;error=true, without spaces",
        ) from None


def hostname(build_args: Mapping[str, str]) -> str:
    """Return the name of the host that RUN steps have."""
    return build_args.get(_HOSTNAME) or DEFAULT_HOSTNAME


def cache_mount_id(identifier: str, build_args: Mapping[str, str]) -> str:
    """Return the id of a cache mount, in the name space of caches that the build is given."""
    space = build_args.get(_CACHE_NAMESPACE, "")
    return f"{space}/{identifier}" if space else identifier


def without_effect(build_args: Mapping[str, str], declared: Iterable[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each builder's argument that has no effect, in the order of their names.

    Args:
        build_args: Of the build.
        declared: Those that an ARG of the file declares: their effect is the file's matter.
    """
    given = sorted(name for name in build_args.keys() - set(declared) if name.startswith(_PREFIX))
    told = []
    for name in given:
        if name in _EFFECTIVE | _SHOWN_ONLY or name.startswith(_SBOM):
            continue
        if name in _INSTEAD and build_args[name] in _FALSE:
            continue
        instead = _INSTEAD.get(name) or (
            "attestations are asked for with --sbom, --provenance or --attest"
            if name.startswith(_ATTESTATIONS)
            else "neither this builder nor BuildKit 0.34 knows it"
        )
        told.append(f"the build argument {name} has no effect: {instead}")
    return tuple(told)
