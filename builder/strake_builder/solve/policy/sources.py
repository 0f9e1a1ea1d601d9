"""Has source policies decide over everything that a build names: images, URLs, repositories, contexts.

Identifiers and attributes are those that BuildKit has for its sources (client/llb/source.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import urlsplit

from strake_api.models import source as requested
from strake_api.models.source_policy import SourcePolicy
from strake_api.requests.build import ImageRule
from strake_api.requests.sources import FromSources
from strake_builder.errors import ForbiddenImageError, ForbiddenSourceError, InvalidRequestError
from strake_builder.frontend.model.steps import AddStep, GitSource, PathSource, Step, UrlSource
from strake_builder.solve.planning.allowed_images import check_allowed
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_builder.solve.policy.engine import SourceIdentity, evaluate
from strake_oci.errors import InvalidValueError
from strake_oci.spec.reference import Reference

IMAGE: Final = "docker-image://"
CHECKSUM: Final = "http.checksum"
COMMIT: Final = "git.checksum"
_REMOTE: Final = "git.fullurl"
_Request = TypeVar("_Request", bound=FromSources)


def permitted_image(
    reference: Reference, policies: tuple[SourcePolicy, ...], rules: Iterable[ImageRule]
) -> Reference:
    """Return the image that stands for one that is named.

    Args:
        reference: with a tag or a digest.
        policies: decide first.
        rules: of the platform, for what is pulled in the end.

    Raises:
        ForbiddenImageError: a policy denies it, or a rule does not allow it.
        InvalidRequestError: a policy makes something else than an image of it.
    """
    try:
        found = evaluate(policies, SourceIdentity(f"{IMAGE}{reference}")).identifier.removeprefix(IMAGE)
    except ForbiddenSourceError as error:
        raise ForbiddenImageError(error.message, hint=error.hint) from error
    if found != str(reference):
        try:
            reference = Reference.parse(found).with_default_tag()
        except InvalidValueError as error:
            raise InvalidRequestError(
                f"the source policy makes {found!r} of the image {reference}: {error.message}",
                hint=error.hint,
            ) from error
    check_allowed(reference, rules)
    return reference


def permitted_steps(build: EvaluatedBuild, policies: tuple[SourcePolicy, ...]) -> EvaluatedBuild:
    """Return a build whose ADDs fetch what stands for what they name.

    Raises:
        ForbiddenSourceError: a policy denies it.
        InvalidRequestError: a policy makes something else of it.
    """
    if not policies:
        return build
    stages = {
        index: replace(stage, steps=tuple(_step(step, policies) for step in stage.steps))
        for index, stage in build.stages.items()
    }
    return replace(build, stages=stages)


def permitted_contexts(request: _Request) -> _Request:
    """Return a request whose contexts are what stands for those that it names, but for artifacts.

    Raises:
        ForbiddenSourceError: a policy denies it.
        InvalidRequestError: a policy makes something else of it.
    """
    policies = request.source_policies
    if not policies:
        return request
    named = [
        each if each.source is None else each.model_copy(update={"source": _source(each.source, policies)})
        for each in request.contexts
    ]
    changes = {"source": _source(request.source, policies), "contexts": tuple(named)}
    return request.model_copy(update=changes)


def git_identity(remote: str, ref: str, subdirectory: str, commit: str | None = None) -> SourceIdentity:
    """Return what a repository is for policies."""
    fragment = f"{ref}:{subdirectory}" if subdirectory else ref
    name = remote.partition("://")[2] or remote.replace(":", "/", 1)
    attrs = {_REMOTE: remote} | ({COMMIT: commit} if commit else {})
    return SourceIdentity(f"git://{name}" + (f"#{fragment}" if fragment else ""), attrs)


def _step(step: Step, policies: tuple[SourcePolicy, ...]) -> Step:
    if not isinstance(step, AddStep):
        return step
    sources = [
        each if isinstance(each, PathSource) else permitted_source(each, policies) for each in step.sources
    ]
    return replace(step, sources=tuple(sources))


def permitted_source(
    source: UrlSource | GitSource, policies: tuple[SourcePolicy, ...]
) -> UrlSource | GitSource:
    """Return what ADD fetches in place of what it names.

    Raises:
        ForbiddenSourceError: a policy denies it.
    """
    match source:
        case UrlSource():
            url, checksum = _url(source.url, source.checksum, policies)
            return replace(source, url=url, checksum=checksum)
        case GitSource():
            asked = git_identity(source.remote, source.ref, source.subdir, source.checksum)
            found = evaluate(policies, asked)
            if found == asked:
                return source
            remote, ref, subdir = _repository(found, source.remote)
            commit = found.attrs.get(COMMIT) or None
            return replace(source, remote=remote, ref=ref, subdir=subdir, checksum=commit)


def _url(url: str, checksum: str | None, policies: tuple[SourcePolicy, ...]) -> tuple[str, str | None]:
    asked = SourceIdentity(url, {CHECKSUM: checksum} if checksum else {})
    found = evaluate(policies, asked)
    return found.identifier, found.attrs.get(CHECKSUM) or None


def _repository(found: SourceIdentity, remote: str) -> tuple[str, str, str]:
    """Return remote, ref and subdirectory of an identity; its scheme is that of the remote it stands for."""
    name, _, fragment = found.identifier.removeprefix("git://").partition("#")
    ref, _, subdirectory = fragment.partition(":")
    full = found.attrs.get(_REMOTE, "")
    if full and git_identity(full, "", "").identifier == f"git://{name}":
        return full, ref, subdirectory
    scheme = urlsplit(remote).scheme if "://" in remote else "ssh"
    return f"{scheme}://{name}", ref, subdirectory


def _source(source: requested.Source, policies: tuple[SourcePolicy, ...]) -> requested.Source:
    chosen = source.chosen
    match chosen:
        case requested.HTTPSource():
            url, checksum = _url(chosen.url, chosen.checksum, policies)
            return requested.Source(http=chosen.model_copy(update={"url": url, "checksum": checksum}))
        case requested.GitSource():
            ref = "" if chosen.ref == "HEAD" else chosen.ref
            path = "" if chosen.path == "." else chosen.path
            asked = git_identity(chosen.url, ref, path, chosen.commit)
            found = evaluate(policies, asked)
            if found == asked:
                return source
            url, ref, path = _repository(found, chosen.url)
            changes = {
                "url": url,
                "ref": ref or "HEAD",
                "path": path or ".",
                "commit": found.attrs.get(COMMIT),
            }
            return requested.Source(git=chosen.model_copy(update=changes))
        case _:
            return source
