"""`kubectl strake build`: a directory of this machine, built in the cluster.

directory ─▶ archive ─▶ registry (by digest) ◀─ builder pod
                            │
ImageBuild with source.oci ─┘ ─▶ followed to its end
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from strake_api.imagebuild import DOCKERFILE
from strake_api.text import visible
from strake_api.values.destinations import sample
from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.registries.registry_credentials import user_credentials
from strake_kubectl.builds import RERUN, Build
from strake_kubectl.cluster import Cluster
from strake_kubectl.ending import exit_status
from strake_kubectl.errors import CommandError, ExistsError, NotFoundError
from strake_kubectl.flags import add_cluster_flags, build_name, cluster_of
from strake_kubectl.following import follow
from strake_kubectl.making.context import pack, push
from strake_kubectl.making.flags import add_spec_flags
from strake_kubectl.making.manifest import Manifest, manifest_of, replacing
from strake_kubectl.view.advice import advice
from strake_kubectl.view.documents import resource
from strake_oci.errors import OCIError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.reference import Reference, Repository

_NOTES: Final = """\
The directory is packed as .dockerignore says, and pushed to a repository by digest, with the credentials in
Docker's config file. The cluster's nodes must reach that registry under the same name, and the build must be
allowed to read there: where it is the repository of the destination, its push Secret is. The log goes to
standard error, the image's name to standard output. Ctrl-C ends the command, and not the build.

The exit status is that of `strake build`: 0 where there is an image, 7 where a RUN command failed.

examples:
  kubectl strake build . -t registry.example/team/api:1 --push-secret push
  kubectl strake build services/api -t registry.example/team/api:dev --name api-dev -n team
"""
_MANAGED: Final = "app.kubernetes.io/managed-by"
_OURS: Final = "kubectl-strake"
_PLACEHOLDER: Final = f"sha256:{'0' * 64}"
_INTERRUPTED: Final = 130
_LOGIN: Final = "strake login REGISTRY, or another repository with --context-repository"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("directory", metavar="DIR", help="the build context")
    parser.add_argument("--name", metavar="NAME", type=build_name, help="that of the directory by default")
    parser.add_argument(
        "--context-repository",
        metavar="REPOSITORY",
        help="where the context is pushed to; that of the first destination by default",
    )
    parser.add_argument("--detach", action="store_true", help="do not follow the build")
    add_spec_flags(parser)
    add_registry_flags(parser, words_follow=True)
    add_cluster_flags(parser)
    parser.set_defaults(handler=build)


def build(arguments: argparse.Namespace) -> int:
    """Push the directory, build it, follow it; return the exit status."""
    name = arguments.name or _named_after(arguments.directory)
    repository = _repository(arguments.context_repository or arguments.destinations[0])
    _manifest(arguments, name, f"{repository}@{_PLACEHOLDER}")  # flags are refused before anything is done
    cluster = cluster_of(arguments)
    _check_free(cluster, name)
    reference = _push(arguments, repository)
    made = _apply(cluster, _manifest(arguments, name, reference))
    _say(f"{resource(made.name)} in namespace {cluster.namespace}")
    if arguments.detach:
        _say(f"follow it with: kubectl strake logs -f {made.name} -n {cluster.namespace}")
        return 0
    try:
        ended = follow(cluster, made.name, _write)
    except KeyboardInterrupt:
        _say(f"\nthe build goes on; end it with: kubectl strake cancel {made.name} -n {cluster.namespace}")
        return _INTERRUPTED
    if ended.has_succeeded:
        sys.stdout.write(visible(f"{ended.status.image}\n"))
    else:
        error = CommandError(f"{ended.reason}: {ended.message}", hint=advice(ended.reason))
        sys.stderr.write(error.for_terminal() + "\n")
    return exit_status(ended)


def _named_after(directory: str) -> str:
    name = os.path.basename(os.path.realpath(directory)).lower()
    found = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:50]
    if not found:
        raise CommandError(
            "the directory's name makes no name of an ImageBuild", hint="give one with --name", exit_status=2
        )
    return found


def _repository(text: str) -> Repository:
    try:
        return Reference.parse(sample(text)).repository
    except OCIError as error:
        raise CommandError(
            f"{text!r} is no image reference: {error.message}", hint=error.hint, exit_status=2
        ) from error


def _manifest(arguments: argparse.Namespace, name: str, reference: str) -> Manifest:
    found = manifest_of(arguments, name, {"oci": {"reference": reference}})
    found["metadata"]["labels"] = {**found["metadata"].get("labels", {}), _MANAGED: _OURS}
    return found


def _check_free(cluster: Cluster, name: str) -> None:
    """Refuse the name of an ImageBuild that other people, or a repository, maintain."""
    try:
        found = cluster.get(name)
    except NotFoundError:
        return
    if found.labels.get(_MANAGED) != _OURS:
        message = f"the ImageBuild {name} is there, and was not made by this command"
        raise ExistsError(message, hint="use another name with --name")


def _push(arguments: argparse.Namespace, repository: Repository) -> str:
    """Pack the directory and push it; return the artifact's reference."""
    if not os.path.isdir(arguments.directory):
        raise CommandError(f"{arguments.directory} is no directory", exit_status=4)
    settings, credentials = read_registries(arguments), user_credentials()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="kubectl-strake-") as scratch,
            RegistryClient(settings, credentials) as client,
        ):
            client.check_push(repository)
            archive = str(Path(scratch, "context.tar.gz"))
            packed = pack(arguments.directory, arguments.dockerfile or DOCKERFILE, archive, _say)
            files = "1 file" if packed.files == 1 else f"{packed.files} files"
            _say(f"pushing {files}, {packed.layer.size:,} bytes, to {repository}")
            return f"{repository}@{push(client, repository, packed)}"
    except OCIError as error:
        message, hint = f"cannot push the context to {repository}: {error.message}", error.hint
        raise CommandError(message, hint=hint or _LOGIN, exit_status=8) from error
    except OSError as error:
        raise CommandError(f"cannot pack {arguments.directory}: {error}", exit_status=4) from error


def _apply(cluster: Cluster, manifest: Manifest) -> Build:
    """Make the ImageBuild, or change the one of the last time; either way there is a run."""
    name = manifest["metadata"]["name"]
    try:
        return cluster.create(manifest)
    except ExistsError:
        before = cluster.get(name)
    change: dict[str, Any] = {
        "metadata": {"labels": manifest["metadata"]["labels"]},
        "spec": replacing(before.spec, manifest["spec"]),
    }
    changed = cluster.change(name, change)
    return cluster.ask(name, RERUN) if changed.generation == before.generation else changed


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _say(text: str) -> None:
    sys.stderr.write(f"{visible(text)}\n")
    sys.stderr.flush()
