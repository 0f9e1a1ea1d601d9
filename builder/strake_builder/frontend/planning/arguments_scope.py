"""The variables outside stages: platform arguments, global ARGs, proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_builder.frontend.model.planned import ArgumentScope
from strake_builder.frontend.model.syntax import Arg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_builder.frontend.model.syntax import Dockerfile
    from strake_builder.frontend.words.lexer import WordLexer
    from strake_oci.spec.platform import Platform

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_PLATFORM_ARGS: Final = frozenset(
    f"{side}{what}"
    for side in ("BUILD", "TARGET")
    for what in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
) | {"TARGETSTAGE"}
# Arguments that steer BuildKit itself; other builders must not call them unused.
_FOR_THE_BUILDER: Final = ("BUILDKIT_", "SOURCE_DATE_EPOCH")


def platform_arguments(
    target: Platform, build: Platform, stage: str, build_args: Mapping[str, str]
) -> dict[str, str]:
    """Return the predefined arguments; a build argument of the same name wins."""
    predefined = {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": target.os_version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage,
    }
    return {name: build_args.get(name, value) for name, value in predefined.items()}


def global_arguments(
    lines: Iterable[Arg], lexer: WordLexer, predefined: Mapping[str, str], build_args: Mapping[str, str]
) -> dict[str, str]:
    """Return the arguments in force in FROM lines.

    Raises:
        FaultError: A default cannot be expanded.
    """
    values = dict(predefined)
    for line in lines:
        for definition in line.definitions:
            if definition.name in build_args:
                values[definition.name] = build_args[definition.name]
            elif definition.default is not None:
                values[definition.name] = lexer.word(definition.default, values)
    return values


def proxy_environment(build_args: Mapping[str, str]) -> tuple[str, ...]:
    """Return the proxy variables that RUN steps get, each in both cases."""
    found: dict[str, str] = {}
    for name in sorted(build_args):
        if name.upper() in _PROXIES:
            found[name.upper()] = build_args[name]
    return tuple(
        f"{name}={found[upper]}" for upper in _PROXIES if found.get(upper) for name in (upper, upper.lower())
    )


def scope(build_args: Mapping[str, str], global_args: Mapping[str, str]) -> ArgumentScope:
    """Put the scope together."""
    return ArgumentScope(dict(build_args), dict(global_args), proxy_environment(build_args))


def declared(dockerfile: Dockerfile) -> set[str]:
    """Return the names that an ARG of the file declares."""
    found = {d.name for line in dockerfile.global_args for d in line.definitions}
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if isinstance(instruction, Arg):
                found.update(d.name for d in instruction.definitions)
    return found


def unused(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> tuple[str, ...]:
    """Return the build arguments that nothing in the file declares, sorted."""
    return tuple(
        sorted(
            name
            for name in build_args.keys() - declared(dockerfile)
            if name not in _PLATFORM_ARGS
            and name.upper() not in _PROXIES
            and not name.startswith(_FOR_THE_BUILDER)
        )
    )
