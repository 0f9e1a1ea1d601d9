"""What an ImageBuild says in place of kaniko's flags. What it cannot say is told, and nothing passed over."""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strake_api.models.source import BucketSource, DirectorySource, GitSource, HTTPSource, OCISource
from strake_builder.cli.contexts.sources import read_source, with_git_options, within
from strake_builder.cli.flags.kaniko.table import Does, flags
from strake_builder.cli.flags.values.switches import boolean
from strake_builder.errors import InvalidRequestError
from strake_kubectl.errors import CommandError
from strake_kubectl.making.kaniko.found import Executor
from strake_kubectl.making.kaniko.words import GITLAB, read_words, variables_in, with_values

_PROJECT: Final = "/CI_PROJECT_DIR"
"""Stands for the checkout of a job, whose path means nothing elsewhere."""
_SOURCE: Final = frozenset({"--context", "--git", "--bucket", "--context-sub-path"})
_TAKEN: Final = _SOURCE | {
    "--destination",
    "--dockerfile",
    "--target",
    "--build-arg",
    "--custom-platform",
    "--label",
    "--annotation",
    "--compression",
    "--compression-level",
    "--image-format",
    "--reproducible",
    "--cache",
    "--cache-repo",
    "--cache-ttl",
    "--no-push-cache",
}
Values = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of a command line.

    Attributes:
        spec: Of an ImageBuild; without `source` where the context is a directory.
        notes: What it does not say, and what is worth a look.
        path: The directory of the repository that is the context, where it is one of a job's checkout.
    """

    spec: dict[str, Any]
    notes: tuple[str, ...]
    path: str = "."


def translate(executor: Executor, variables: Mapping[str, str]) -> Translated:
    """Return what an ImageBuild says in place of a command line.

    Args:
        executor: The command line, and what its pod has.
        variables: Values of variables in it.

    Raises:
        CommandError: A flag is none of kaniko's, or a variable has no value.
    """
    given = read_words(executor.words)
    values = {name: _all_filled(name, texts, variables) for name, texts in given.items() if name in _TAKEN}
    notes = list(executor.notes)
    project = _Project(values)
    spec: dict[str, Any] = {**executor.fields}
    if (source := project.source()) is not None:
        spec["source"] = source
    spec |= _fields(values, project)
    spec["output"] = _output(values)
    for flag in flags():
        if flag.name in given and flag.name not in _TAKEN:
            is_needed = flag.does is not Does.NOTED
            reason = "an ImageBuild has no field for it" if is_needed else f"not needed: {flag.here}"
            notes.append(f"{flag.name}: {reason}")
    return Translated(spec, tuple(notes), project.path)


class _Project:
    """The context of a command line: a source, or a directory that a CI job has."""

    def __init__(self, values: Values) -> None:
        self._values = values
        context = (values.get("--context") or ["dir:///workspace"])[-1]
        self._context = context.removeprefix("dir://")
        self._sub_path = values["--context-sub-path"][-1] if "--context-sub-path" in values else None

    def source(self) -> dict[str, Any] | None:
        """Return `spec.source`; None for a directory, which no cluster has."""
        if self._is_directory:
            return None
        try:
            found = read_source(self._context)
            found = within(with_git_options(found, self._values.get("--git", [])), self._sub_path)
        except InvalidRequestError as error:
            raise CommandError(error.message, hint=error.hint, exit_status=2) from error
        chosen = found.chosen
        path = {} if getattr(chosen, "path", ".") == "." else {"path": getattr(chosen, "path", ".")}
        match chosen:
            case GitSource():
                ref = {} if chosen.ref == "HEAD" else {"ref": chosen.ref}
                return {"git": {"url": chosen.url, **ref, **path}}
            case HTTPSource():
                return {"http": {"url": chosen.url, **path}}
            case OCISource():
                return {"oci": {"reference": chosen.reference, **path}}
            case BucketSource():
                return _bucket(chosen.url, path)
            case DirectorySource():
                return None
            case _:
                message = f"no cluster has the context {self._context}"
                raise CommandError(message, hint="name the source with --git")

    @property
    def _is_directory(self) -> bool:
        return "://" not in self._context and not self._context.startswith("git@")

    @property
    def path(self) -> str:
        """The directory of a repository that a CI job has as its context; "." where nobody can know."""
        below = self._context.removeprefix(_PROJECT).strip("/") if self._is_checkout else ""
        return posixpath.normpath(posixpath.join(below, self._sub_path or ""))

    @property
    def _is_checkout(self) -> bool:
        return self._context == _PROJECT or self._context.startswith(f"{_PROJECT}/")

    def inside(self, text: str) -> str:
        """Return the path of a Dockerfile relative to the context."""
        own = f"{self._context.rstrip('/')}/"
        if text.startswith(own):
            return text.removeprefix(own)
        if text.startswith(f"{_PROJECT}/"):
            return posixpath.relpath(text.removeprefix(f"{_PROJECT}/"), self.path)
        return text


def _bucket(url: str, path: Mapping[str, str]) -> dict[str, Any]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    match scheme:
        case "s3":
            return {"s3": {"bucket": bucket, "key": key, **path}}
        case "gs":
            return {"gs": {"bucket": bucket, "object": key, **path}}
        case _:
            return {"azure": {"url": url, **path}}


def _fields(values: Values, project: _Project) -> dict[str, Any]:
    last = {name: given[-1] for name, given in values.items()}
    cache: dict[str, Any] = {}
    if "--cache" in last and not _is_true(last["--cache"]):
        cache["enabled"] = False
    elif "--cache-repo" in last:
        cache["repository"] = last["--cache-repo"]
    if _is_true(last.get("--no-push-cache", "false")):
        cache["readOnly"] = True
    if "--cache-ttl" in last:
        cache["ttl"] = last["--cache-ttl"]
    pairs = [each.partition("=") for each in values.get("--build-arg", [])]
    dockerfile = project.inside(last["--dockerfile"]) if "--dockerfile" in last else None
    found = {
        "dockerfile": None if dockerfile == "Dockerfile" else dockerfile,
        "target": last.get("--target"),
        "args": [{"name": name, "value": value} for name, _, value in pairs],
        "platform": last.get("--custom-platform"),
        "cache": cache,
    }
    return {name: value for name, value in found.items() if value}


def _output(values: Values) -> dict[str, Any]:
    last = {name: given[-1] for name, given in values.items()}
    level = last.get("--compression-level", "-1")
    found: dict[str, Any] = {
        "destinations": values.get("--destination", []),
        "labels": dict(each.partition("=")[::2] for each in values.get("--label", [])),
        "annotations": dict(each.partition("=")[::2] for each in values.get("--annotation", [])),
        "compression": last.get("--compression"),
        "compressionLevel": int(level) if level.isdigit() else None,
        "mediaTypes": last.get("--image-format"),
        "reproducible": _is_true(last.get("--reproducible", "false")),
    }
    return {name: value for name, value in found.items() if value not in (None, False, {}, [])}


def _all_filled(name: str, texts: list[str], variables: Mapping[str, str]) -> list[str]:
    fields = GITLAB if name == "--destination" else {}
    return [_filled(text, {"CI_PROJECT_DIR": _PROJECT, **fields, **variables}) for text in texts]


def _filled(text: str, values: Mapping[str, str]) -> str:
    filled = with_values(text, values)
    for name in variables_in(filled):
        raise CommandError(
            f"{text!r} has the variable {name}, whose value only the job knows",
            hint=f"give it with --variable {name}=VALUE",
            exit_status=2,
        )
    return filled


def _is_true(text: str) -> bool:
    try:
        return boolean(text)
    except argparse.ArgumentTypeError as error:
        raise CommandError(str(error), exit_status=2) from error
