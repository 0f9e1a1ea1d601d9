"""Reads the Dockerfile of a request: text to plan, and what deserves a warning."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from strake_builder.context.fetch import FetchedContext
from strake_builder.context.filtered import (
    ContextFiles,
    read_dockerfile,
    read_ignore_patterns,
    read_local,
)
from strake_builder.errors import DockerfileError, Location, SourceError
from strake_builder.frontend.builder_arguments import refuse_wrong, without_effect
from strake_builder.frontend.lint import fails_on_warnings, lint_plan
from strake_builder.frontend.model.named_contexts import NamedContexts
from strake_builder.frontend.model.planned import BuildPlan, ImageBase
from strake_builder.frontend.parse import parse
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_builder.frontend.planning.arguments_scope import declared
from strake_builder.frontend.planning.plan import plan
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.planning.evaluation import EvaluatedBuild, location
from strake_builder.solve.planning.requested import Requested
from strake_oci.spec.platform import host as host_platform

if TYPE_CHECKING:
    from strake_builder.frontend.model.moments import TimeOf


def read_plan(
    requested: Requested,
    context: FetchedContext,
    contexts: NamedContexts,
    time_of: TimeOf,
    reporter: Reporter,
) -> tuple[BuildPlan, ContextFiles]:
    """Read Dockerfile and .dockerignore.

    Args:
        requested: names target, arguments, platform and the Dockerfile.
        context: the context.
        contexts: what stands in for stages and images.
        time_of: finds out the time of what SOURCE_DATE_EPOCH names.
        reporter: hears of build arguments that nothing uses.

    Raises:
        DockerfileError: there is none, or it is refused.
        InvalidRequestError: a build argument for the builder has a value that it cannot have.
        SourceError: a file cannot be read, or what tells the time cannot be fetched.
    """
    request, named = requested.request, requested.inputs.dockerfile_path
    with Root(context.directory) as root:

        def inside(path: str, limit: int) -> bytes | None:
            return read_inside(root, path, limit)

        path, read = (named, read_local) if named else (request.dockerfile, inside)
        written = None if named else request.dockerfile_inline
        text = read_dockerfile(path, read) if written is None else written
        patterns = read_ignore_patterns(((f"{path}.dockerignore", read), (".dockerignore", inside)))
    build_args = {argument.name: argument.value for argument in request.args}
    refuse_wrong(build_args)
    planned = plan(
        parse(text, request.dockerfile),
        target=request.target,
        also=requested.inputs.also,
        build_args=build_args,
        platform=requested.platform,
        build_platform=host_platform(),
        contexts=contexts,
        time_of=time_of,
    )
    for name in planned.unused_build_args:
        reporter.warn(f"the build argument {name} is used by no ARG", request.dockerfile)
    for text in without_effect(planned.scope.build_args, declared(planned.dockerfile)):
        reporter.warn(text)
    return planned, ContextFiles(context.directory, (*patterns, *context.patterns))


def read_inside(root: Root, path: str, limit: int) -> bytes | None:
    """Read a file of a context, such that no link leads out of it; None where there is none.

    Raises:
        SourceError: it cannot be read, or is too large.
    """
    name = os.fsencode(path)
    try:
        content = root.read_file(name, limit)
        if content is None and root.stat(name) is not None:
            raise SourceError(f"{path} is in the context, but is no regular file")
    except PathError as error:
        raise SourceError(f"cannot read {path} of the context: {error.message}") from error
    return content


def report_lint(evaluated: EvaluatedBuild, files: ContextFiles, reporter: Reporter) -> None:
    """Report what `strake lint` would; a Dockerfile may ask for it to be fatal.

    Raises:
        DockerfileError: it does.
    """
    planned = evaluated.plan
    configs = {image.reference: image.config.config for image in evaluated.images.values()}
    ignore = IgnoreMatcher(files.patterns) if files.patterns else None
    warnings = lint_plan(planned, all_stages=False, base_configs=configs, ignore=ignore)
    for warning in warnings:
        reporter.warn(f"{warning.message} [{warning.rule.name}]", warning.file, warning.span.first)
    _report_other_platforms(evaluated, reporter)
    if warnings and fails_on_warnings(planned.dockerfile, planned.scope.build_args):
        first = warnings[0]
        raise DockerfileError(
            f"{first.message} [{first.rule.name}]",
            hint="the Dockerfile or BUILDKIT_DOCKERFILE_CHECK wants warnings to be errors (check=error=true)",
            location=Location(first.file, first.span.first, first.source_lines[0]),
        )


def _report_other_platforms(evaluated: EvaluatedBuild, reporter: Reporter) -> None:
    """Tell of base images of one platform that are used for another, as BuildKit's rule of this name does."""
    for stage in evaluated.plan.stages:
        image = evaluated.images.get(stage.index)
        if image is None or not isinstance(stage.base, ImageBase) or not image.config.platform.os:
            continue
        has, wanted = image.config.platform.normalized(), stage.base.platform.normalized()
        if (has.os, has.architecture) != (wanted.os, wanted.architecture):
            where = location(evaluated.plan, stage)
            reporter.warn(
                f"the base image {image.reference} is for {has}, not for {wanted} [InvalidBaseImagePlatform]",
                where.file,
                where.line,
            )
