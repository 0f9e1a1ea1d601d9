"""`strake lint`: what `docker build --check` says, without building and without a registry."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.build_arguments import HELP, build_arguments
from strake_builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_builder.frontend.errors import DockerfileRefusedError
    from strake_builder.frontend.lint import LintWarning

_EXAMPLES: Final = """\
examples:
  strake lint
  strake lint services/api/Dockerfile
  strake lint -f deploy/Dockerfile --format sarif > lint.sarif

exit status: 0 nothing found, or warnings only; 1 warnings, with --error or `check=error=true`;
3 the Dockerfile cannot be built at all.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("dockerfile", nargs="?", metavar="FILE", help="the Dockerfile, as with --file")
    parser.add_argument("--context", "-c", metavar="DIR", default=".", help="(default: this directory)")
    parser.add_argument("--file", "-f", metavar="FILE", help="the Dockerfile (default: CONTEXT/Dockerfile)")
    parser.add_argument(
        "--target", metavar="STAGE", help="check what this stage needs (default: every stage)"
    )
    parser.add_argument("--build-arg", metavar="NAME[=VALUE]", action="append", default=[], help=HELP)
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="(default: text)")
    parser.add_argument("--error", action="store_true", help="exit with status 1 when there are warnings")
    parser.set_defaults(handler=run_lint)


def run_lint(arguments: argparse.Namespace) -> int:
    """Check a Dockerfile; return the exit status."""
    from strake_builder.frontend.errors import DockerfileRefusedError

    try:
        warnings, fails = _check(arguments)
    except DockerfileRefusedError as refused:
        _print((), refused, arguments.format)
        return refused.exit_status
    except BuildError as error:
        sys.stderr.write(f"{error.for_terminal()}\n")
        return error.exit_status
    _print(warnings, None, arguments.format)
    return 1 if warnings and (fails or arguments.error) else 0


def _check(arguments: argparse.Namespace) -> tuple[tuple[LintWarning, ...], bool]:
    from strake_builder.context.filtered import read_dockerfile, read_ignore_patterns, read_local
    from strake_builder.frontend.builder_arguments import refuse_wrong
    from strake_builder.frontend.lint import fails_on_warnings, lint
    from strake_builder.frontend.parse import parse
    from strake_builder.frontend.patterns.ignore import IgnoreMatcher

    path = arguments.file or arguments.dockerfile or os.path.join(arguments.context, "Dockerfile")
    dockerfile = parse(read_dockerfile(path), path)
    ignore_files = (f"{path}.dockerignore", os.path.join(arguments.context, ".dockerignore"))
    patterns = read_ignore_patterns((name, read_local) for name in ignore_files)
    build_args = build_arguments(arguments.build_arg)
    refuse_wrong(build_args)
    warnings = lint(
        dockerfile,
        target=arguments.target,
        build_args=build_args,
        ignore=IgnoreMatcher(patterns) if patterns else None,
    )
    return warnings, fails_on_warnings(dockerfile, build_args)


def _print(warnings: Sequence[LintWarning], refused: DockerfileRefusedError | None, form: str) -> None:
    from strake_builder.frontend.lint import as_json, as_sarif, as_text

    if form == "json":
        sys.stdout.write(as_json(warnings, refused))
    elif form == "sarif":
        from importlib.metadata import version

        sys.stdout.write(as_sarif(warnings, refused, version=version("strake")))
    elif refused is not None:
        sys.stderr.write(f"{refused.for_terminal()}\n")
    else:
        sys.stdout.write(as_text(warnings) or "no warnings\n")
