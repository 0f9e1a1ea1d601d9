"""`kubectl strake lint`: ImageBuilds in files, by the cluster's rules, and the Dockerfiles in them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, Final

from strake_api.imagebuild import ImageBuild, ImageBuildSpec
from strake_api.text import visible
from strake_builder.cli.validation import validated
from strake_builder.errors import BuildError, InvalidRequestError
from strake_builder.frontend.lint import as_text, lint
from strake_builder.frontend.parse import parse
from strake_kubectl.errors import CommandError
from strake_kubectl.making.files import documents

_NOTES: Final = """\
No cluster is asked. Of manifests in other files than ImageBuilds nothing is said.

examples:
  kubectl strake lint deploy/*.yaml
  kubectl strake create api --configmap c -t r.example/api:1 --dry-run=client -o yaml | kubectl strake lint -

exit status: 0 nothing found, or warnings only; 1 warnings, with --error; 2 a manifest that the cluster
would refuse; 3 a Dockerfile that cannot be built.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("files", metavar="FILE", nargs="+", help="manifests; - is standard input")
    parser.add_argument("--error", action="store_true", help="exit with status 1 when there are warnings")
    parser.set_defaults(handler=run_lint)


def run_lint(arguments: argparse.Namespace) -> int:
    """Check the files; return the exit status."""
    worst, found = 0, 0
    for path in arguments.files:
        for document in documents(path):
            if document.get("kind") != "ImageBuild":
                continue
            found += 1
            status, text = _checked(document)
            worst = max(worst, status if status != 1 or arguments.error else 0)
            name = (document.get("metadata") or {}).get("name", "")
            sys.stdout.write(visible(f"{path}: {name}: {text}\n"))
    if not found:
        raise CommandError("there is no ImageBuild in these files", exit_status=2)
    return worst


def _checked(document: Mapping[str, Any]) -> tuple[int, str]:
    """Return what a manifest is worth, as an exit status, and what is found."""
    try:
        with validated():
            spec = ImageBuild.model_validate(document).spec
    except InvalidRequestError as error:
        return 2, error.message
    text = spec.dockerfile_inline or (spec.source.inline or {}).get(spec.dockerfile)
    if text is None:
        return 0, "no findings; the Dockerfile is in the source"
    try:
        warnings = lint(parse(text, spec.dockerfile), target=spec.target, build_args=_values(spec))
    except BuildError as error:
        return 3, error.for_terminal().strip()
    return (1, as_text(warnings).strip()) if warnings else (0, "no findings")


def _values(spec: ImageBuildSpec) -> dict[str, str]:
    return {each.name: each.value or "" for each in spec.args}
