"""Flags of kaniko's executor that Strake has other words for, or no need of.

Command lines written for kaniko are to work as they are: what means something here is translated, what is not
needed is named with the reason, and what would make another image than kaniko's is refused with what to
write instead. Nothing is passed over in silence.

Source: kaniko's README, "Additional Flags", and the flags of its executor up to version 1.24.
"""

from __future__ import annotations

import argparse
from typing import Final

from strake_builder.cli.flags.values.switches import add_switch
from strake_builder.errors import InvalidRequestError

_TRIED_AGAIN: Final = "what may succeed later is tried again in any case"
_OWN_FILES: Final = "nothing of the builder's own files can get into an image; what steps write stays in it"
_CHANGES: Final = "what a step changes is known without a search"

_UNNEEDED_SWITCHES: Final = {
    "--cleanup": "nothing of a build stays behind in any case",
    "--compressed-caching": "layers are never held in memory",
    "--force": "a build has namespaces of its own, inside a container and outside",
    "--force-build-metadata": "metadata needs no layers",
    "--ignore-var-run": _OWN_FILES,
    "--log-timestamp": "--log-format json has the times",
    "--pre-cleanup": "a build does not use the machine's own files",
    "--preserve-context": "a build does not change its context",
    "--skip-unused-stages": "only what the target needs is ever built",
    "--use-new-run": _CHANGES,
    "--whitelist-var-run": _OWN_FILES,
}
_UNNEEDED_VALUES: Final = {
    "--credential-helpers": "credentials are looked for in every place that docs/registries.md names",
    "--ignore-path": _OWN_FILES,
    "--image-download-retry": _TRIED_AGAIN,
    "--image-fs-extract-retry": _TRIED_AGAIN,
    "--kaniko-dir": "builds are made in --work-dir",
    "--push-retry": _TRIED_AGAIN,
    "--snapshot-mode": _CHANGES,
    "--snapshotMode": _CHANGES,
    "--verbosity": "there is one level",
}
_REFUSED_SWITCHES: Final = {
    "--insecure-pull": "name the registries: --insecure-registry HOST[:PORT]",
    "--push-ignore-immutable-tag-errors": "push to a tag that is not there yet",
    "--single-snapshot": "for an image of one layer end the Dockerfile with a stage that has one COPY --from",
    "--skip-tls-verify-pull": "name the registries: --skip-tls-verify-registry HOST[:PORT]",
}


def add_kaniko_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `translate` reads."""
    group = parser.add_argument_group(
        "as kaniko's executor has them",
        "Others of its flags are accepted and named where they are not needed.",
    )
    group.add_argument("--context-sub-path", metavar="PATH", help="a directory in --context to build instead")
    group.add_argument(
        "--git",
        metavar="KEY=VALUE,…",
        help="of a --context in git: branch=NAME, depth=COMMITS, recurse-submodules=true|false",
    )
    pushed_to = "the registries of --destination and --cache-repo"
    add_switch(group, "--insecure", f"plain HTTP for {pushed_to}")
    add_switch(group, "--skip-tls-verify", f"accept any certificate of {pushed_to}")
    for flag in (*_UNNEEDED_SWITCHES, *_REFUSED_SWITCHES):
        add_switch(group, flag, argparse.SUPPRESS)
    for flag in _UNNEEDED_VALUES:
        names = ("-v", flag) if flag == "--verbosity" else (flag,)
        parser.add_argument(*names, help=argparse.SUPPRESS)


def translate(arguments: argparse.Namespace) -> list[str]:
    """Translate kaniko's flags into Strake's; return what a person should know.

    Raises:
        InvalidRequestError: a flag is malformed, fits nothing, or asks for what Strake does not do.
    """
    for flag, hint in _REFUSED_SWITCHES.items():
        if _given(arguments, flag):
            raise InvalidRequestError(f"{flag} is not supported", hint=hint)
    if arguments.insecure:
        arguments.insecure_registry = [*arguments.insecure_registry, *_pushed_to(arguments)]
    if arguments.skip_tls_verify:
        arguments.skip_tls_verify_registry = [*arguments.skip_tls_verify_registry, *_pushed_to(arguments)]
    reasons = _UNNEEDED_SWITCHES | _UNNEEDED_VALUES
    return [f"{flag} is not needed: {why}" for flag, why in reasons.items() if _given(arguments, flag)]


def _given(arguments: argparse.Namespace, flag: str) -> bool:
    value = getattr(arguments, flag.removeprefix("--").replace("-", "_"))
    return value is not None and value is not False


def _pushed_to(arguments: argparse.Namespace) -> list[str]:
    from strake_oci.errors import OCIError
    from strake_oci.spec.reference import Reference

    names = [*(arguments.destination or ()), *([arguments.cache_repo] if arguments.cache_repo else ())]
    try:
        return list(dict.fromkeys(Reference.parse(name).repository.registry for name in names))
    except OCIError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
