"""`strake build`: a directory becomes an image. Flags are those of kaniko's executor where it has them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags import add_building_flags, read_secrets, read_ssh
from strake_builder.errors import InvalidRequest

if TYPE_CHECKING:
    from strake_api.request import BuildRequest, Source
    from strake_api.result import BuildSucceeded
    from strake_builder.solve.inputs import BuildInputs

_EXAMPLES: Final = """\
examples:
  strake build --context . --destination registry.example/app:1.2
  strake build -c . -f deploy/Dockerfile --target release --build-arg VERSION=1.2 -d registry.example/app
  strake build -c git+https://git.example/app.git#main:services/api -d registry.example/api

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--context",
        "-c",
        metavar="DIR|git+URL",
        default=".",
        help="the build context (default: this directory)",
    )
    parser.add_argument(
        "--dockerfile", "--file", "-f", metavar="FILE", help="the Dockerfile (default: CONTEXT/Dockerfile)"
    )
    parser.add_argument(
        "--destination",
        "--tag",
        "-d",
        "-t",
        metavar="IMAGE",
        action="append",
        default=[],
        help="where to push; may be given more than once",
    )
    parser.add_argument("--target", metavar="STAGE", help="the stage to build (default: the last one)")
    parser.add_argument(
        "--build-arg",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="a value for an ARG; without VALUE the environment's. Ends up in the image: never a secret",
    )
    parser.add_argument(
        "--platform", "--custom-platform", metavar="OS/ARCH", help="(default: this machine's)"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=int, help="give up after so long (default: never)"
    )
    parser.add_argument("--digest-file", metavar="FILE", help="write the image's digest to a file")
    parser.add_argument("--metadata-file", metavar="FILE", help="write the whole result, as JSON, to a file")
    files = parser.add_argument_group("files instead of a registry, or besides")
    files.add_argument("--no-push", action="store_true", help="push nothing")
    files.add_argument(
        "--tar-path", "--tarPath", metavar="FILE", help="write the image as an archive for docker load"
    )
    files.add_argument("--oci-layout-path", metavar="DIR", help="write the image to an OCI image layout")
    add_building_flags(parser)
    parser.set_defaults(handler=build)


def build(arguments: argparse.Namespace) -> int:
    """Build and push; return the exit status."""
    from strake_builder.cli.session import run_build

    return run_build(
        lambda: _prepare(arguments),
        log_format=arguments.log_format,
        finished=lambda result: _finished(arguments, result),
    )


def _finished(arguments: argparse.Namespace, result: BuildSucceeded) -> None:
    if arguments.digest_file:
        Path(arguments.digest_file).write_text(result.digest, encoding="utf-8")
    if arguments.metadata_file:
        Path(arguments.metadata_file).write_text(result.to_json() + "\n", encoding="utf-8")
    if arguments.log_format != "json":
        for image in result.images:
            sys.stdout.write(f"{image}\n")


def _prepare(arguments: argparse.Namespace) -> tuple[BuildRequest, BuildInputs]:
    from pydantic import ValidationError

    from strake_api.request import BuildArg, BuildRequest, Output, Registries
    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.credentials.sources import cloud_credentials, default_credentials
    from strake_oci.errors import CredentialError

    if not arguments.destination and not (arguments.no_push and not arguments.tar_path):
        hint = "say where to push with --destination IMAGE (with --no-push it names the image in an archive)"
        raise InvalidRequest("no destination", hint=hint)
    source = _source(arguments.context)
    try:
        request = BuildRequest(
            source=source,
            dockerfile=arguments.dockerfile or "Dockerfile",
            target=arguments.target,
            args=tuple(BuildArg(name=n, value=v) for n, v in map(_build_arg, arguments.build_arg)),
            platform=arguments.platform,
            output=Output(destinations=tuple(arguments.destination)),
            registries=Registries(insecure=tuple(arguments.insecure_registry)),
            work_directory=os.path.abspath(arguments.work_dir),
            timeout_seconds=arguments.timeout,
        )
        credentials = default_credentials(then=cloud_credentials())
    except ValidationError as error:
        raise InvalidRequest("; ".join(str(e["msg"]) for e in error.errors()[:5])) from error
    except CredentialError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
    return request, BuildInputs(
        pull_credentials=credentials,
        push_credentials=credentials,
        secrets=read_secrets(arguments.secret),
        ssh_sockets=read_ssh(arguments.ssh),
        dockerfile_path=_dockerfile_path(arguments),
        cache_directory=os.path.abspath(arguments.cache_dir) if arguments.cache_dir else None,
        runtime=arguments.runtime,
        rootfs=arguments.rootfs,
        push=not arguments.no_push,
        archive_path=arguments.tar_path,
        layout_path=arguments.oci_layout_path,
    )


def _source(text: str) -> Source:
    from strake_api.request import DirectorySource, GitSource, Source

    for prefix, rest in (("git+", text[4:]), ("git://", text), ("dir://", "")):
        if not text.startswith(prefix):
            continue
        if prefix == "dir://":
            return Source(directory=DirectorySource(path=os.path.abspath(text[6:])))
        url, _, fragment = rest.partition("#")
        ref, _, path = fragment.partition(":")
        return Source(git=GitSource(url=url, ref=ref or "HEAD", path=path or "."))
    if "://" in text:
        scheme = text.partition("://")[0]
        raise InvalidRequest(
            f"contexts from {scheme}:// are not supported", hint="use a directory, or git+https://…"
        )
    return Source(directory=DirectorySource(path=os.path.abspath(text)))


def _dockerfile_path(arguments: argparse.Namespace) -> str | None:
    """Return the path of a Dockerfile that is named: looked for here first, then in the context."""
    named: str | None = arguments.dockerfile
    return os.path.abspath(named) if named is not None and os.path.exists(named) else None


def _build_arg(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if equals:
        return name, value
    if name not in os.environ:
        raise InvalidRequest(
            f"--build-arg {name} has no value and there is no such variable in the environment"
        )
    return name, os.environ[name]
