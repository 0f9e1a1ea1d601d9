"""`kubectl strake create`: an ImageBuild from flags, or its manifest for a repository."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from strake_api.text import visible
from strake_kubectl.errors import CommandError
from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.making.flags import add_spec_flags, pair
from strake_kubectl.making.kaniko.found import chosen_executor
from strake_kubectl.making.kaniko.translation import translate
from strake_kubectl.making.manifest import Manifest, manifest_of
from strake_kubectl.view.documents import document, resource

_NOTES = """\
examples:
  kubectl strake create api --git https://git.example/api --ref main -t registry.example/api:1
  kubectl strake create api --oci registry.example/context@sha256:… -t registry.example/api:1
  kubectl strake create api --from-kaniko pod.yaml --git https://git.example/api --dry-run=client -o yaml
  kubectl strake create api --configmap context -t registry.example/api:1 --dry-run=client -o yaml > api.yaml
"""
_CHOICES = ("none", "client", "server")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    add_name(parser)
    group = parser.add_argument_group("where the source is")
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--git", metavar="URL", help="a repository")
    chosen.add_argument("--http", metavar="URL", help="an archive on a web server")
    chosen.add_argument("--oci", metavar="REFERENCE", help="an artifact in a registry")
    chosen.add_argument("--configmap", metavar="NAME", help="a ConfigMap of the namespace")
    group.add_argument("--ref", metavar="REF", help="a branch, tag or commit, of --git")
    group.add_argument("--git-secret", metavar="NAME", help="a Secret of the namespace, for --git")
    group.add_argument("--checksum", metavar="sha256:…", help="that the archive must have, of --http")
    group.add_argument("--source-path", metavar="PATH", help="the directory that is the context")
    kaniko = parser.add_argument_group("from a pod or a job that runs kaniko")
    kaniko.add_argument(
        "--from-kaniko",
        metavar="FILE",
        help="a Pod, Job or CronJob, or a .gitlab-ci.yml",
    )
    kaniko.add_argument("--job", metavar="NAME", help="which one, where the file has several")
    kaniko.add_argument(
        "--variable",
        dest="variables",
        metavar="NAME=VALUE",
        type=pair,
        action="append",
        default=[],
        help="the value of a variable of the job",
    )
    add_spec_flags(parser, destination_needed=False)
    parser.add_argument(
        "--dry-run",
        choices=_CHOICES,
        default="none",
        help="client: print only; server: have the cluster check it",
    )
    parser.add_argument("-o", "--output", choices=("json", "yaml", "name"), help="the form")
    add_cluster_flags(parser)
    parser.set_defaults(handler=create)


def create(arguments: argparse.Namespace) -> int:
    """Make an ImageBuild, or print it; return the exit status."""
    manifest = _manifest(arguments)
    shown, done = manifest, "created"
    if arguments.dry_run == "client":
        done += " (dry run)"
    else:
        try_only = arguments.dry_run == "server"
        shown = dict(cluster_of(arguments).create(manifest, try_only=try_only).document)
        done += " (server dry run)" if try_only else ""
    if arguments.output is None:
        sys.stdout.write(f"{visible(resource(arguments.name))} {done}\n")
    else:
        sys.stdout.write(document(shown, arguments.output))
    return 0


def _manifest(arguments: argparse.Namespace) -> Manifest:
    given = _source(arguments)
    if arguments.from_kaniko is None:
        if given is None:
            hint = "name it with --git, --http, --oci or --configmap"
            raise CommandError("there is no source", hint=hint, exit_status=2)
        if not arguments.destinations:
            raise CommandError("there is no destination", hint="name it with -t", exit_status=2)
        return manifest_of(arguments, arguments.name, given)
    found = chosen_executor(arguments.from_kaniko, arguments.job)
    translated = translate(found, dict(arguments.variables))
    if given is not None and "git" in given:
        given["git"] = {"path": translated.path, **given["git"]} if translated.path != "." else given["git"]
    source = given or translated.spec.get("source")
    if source is None:
        raise CommandError(
            "the context is a directory of the pod or of the job, which no builder pod has",
            hint="name its repository with --git URL, or build it with `kubectl strake build`",
            exit_status=2,
        )
    for note in translated.notes:
        sys.stderr.write(visible(f"note: {note}\n"))
    return manifest_of(arguments, arguments.name, source, translated.spec)


def _source(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return `spec.source`; None where no flag names one.

    Raises:
        CommandError: A flag is for another kind of source.
    """
    for flag, value, kind in (
        ("--ref", arguments.ref, arguments.git),
        ("--git-secret", arguments.git_secret, arguments.git),
        ("--checksum", arguments.checksum, arguments.http),
        ("--source-path", arguments.source_path, not arguments.configmap),
    ):
        if value and not kind:
            raise CommandError(f"{flag} says nothing about this kind of source", exit_status=2)
    path = {"path": arguments.source_path} if arguments.source_path else {}
    if arguments.git:
        secret = {"secret": {"name": arguments.git_secret}} if arguments.git_secret else {}
        ref = {"ref": arguments.ref} if arguments.ref else {}
        return {"git": {"url": arguments.git, **ref, **path, **secret}}
    if arguments.http:
        checksum = {"checksum": arguments.checksum} if arguments.checksum else {}
        return {"http": {"url": arguments.http, **checksum, **path}}
    if arguments.oci:
        return {"oci": {"reference": arguments.oci, **path}}
    return {"configMap": {"name": arguments.configmap}} if arguments.configmap else None
