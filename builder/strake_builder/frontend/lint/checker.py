"""`lint`: everything that `docker build --check` would say about a Dockerfile, by the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_builder.frontend.builder_arguments import CHECK
from strake_builder.frontend.check_options import CheckOptions, parse_check_options
from strake_builder.frontend.evaluate import BaseImage, KnownBase, evaluate_noting
from strake_builder.frontend.lint.from_checks import from_findings
from strake_builder.frontend.lint.rules import RULES, Rule
from strake_builder.frontend.lint.syntax_checks import syntax_findings
from strake_builder.frontend.model.planned import ContextBase, ImageBase, ScratchBase, StageBase
from strake_builder.frontend.planning.plan import plan
from strake_builder.frontend.text.printable import printable
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_builder.frontend.model.evaluated import EvaluatedStage
    from strake_builder.frontend.model.findings import Finding
    from strake_builder.frontend.model.planned import BuildPlan
    from strake_builder.frontend.model.syntax import Dockerfile
    from strake_builder.frontend.patterns.ignore import IgnoreMatcher
    from strake_builder.frontend.text.source import Span
    from strake_oci.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class LintWarning:
    """One warning.

    Attributes:
        rule: The rule.
        message: What is unwise, as `docker build --check` says it.
        file: The Dockerfile's name.
        span: The lines concerned.
        source_lines: Those lines as they stand in the file.
    """

    rule: Rule
    message: str
    file: str
    span: Span
    source_lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.span.first}: {self.rule.name}: {self.message}"


def lint(
    dockerfile: Dockerfile,
    *,
    target: str | None = None,
    build_args: Mapping[str, str] | None = None,
    platform: Platform | None = None,
    base_configs: Mapping[str, RuntimeConfig] | None = None,
    ignore: IgnoreMatcher | None = None,
) -> tuple[LintWarning, ...]:
    """Check a Dockerfile.

    Args:
        dockerfile: The syntax tree.
        target: Check the stages that this one needs; all stages when None.
        build_args: As for `plan`.
        platform: As for `plan`; this machine's when None.
        base_configs: The `config` of base images by reference as the file has it. Where one is not
            known, variables that it may define are not reported as undefined.
        ignore: What .dockerignore says, None when there is none.

    Returns:
        The warnings in the order of the file, without those that the file switches off.

    Raises:
        DockerfileRefusedError: The file cannot be planned or evaluated at all.
    """
    here = platform or host()
    planned = plan(dockerfile, target=target, build_args=build_args or {}, platform=here, build_platform=here)
    return lint_plan(planned, all_stages=not target, base_configs=base_configs or {}, ignore=ignore)


def lint_plan(
    planned: BuildPlan,
    *,
    all_stages: bool,
    base_configs: Mapping[str, RuntimeConfig],
    ignore: IgnoreMatcher | None,
) -> tuple[LintWarning, ...]:
    """Check a plan that is made already; see `lint`."""
    findings = [*syntax_findings(planned.dockerfile), *from_findings(planned)]
    done: dict[int, tuple[EvaluatedStage, bool]] = {}
    for stage in planned.every_stage if all_stages else planned.stages:
        base: KnownBase = None
        known = True
        match stage.base:
            case ImageBase(reference):
                known = reference in base_configs
                base = BaseImage(base_configs.get(reference, RuntimeConfig()))
            case StageBase(index):
                base, known = done[index]
            case ScratchBase() | ContextBase():
                pass
        evaluated, found = evaluate_noting(planned, stage, base, base_is_known=known, ignore=ignore)
        done[stage.index] = evaluated, known
        findings += found
    return _warnings(planned, findings)


def fails_on_warnings(dockerfile: Dockerfile, build_args: Mapping[str, str] | None = None) -> bool:
    """Tell whether the file asks for warnings to fail the build (`# check=error=true`)."""
    return _options(dockerfile, build_args or {}).error


def _options(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> CheckOptions:
    return parse_check_options(build_args.get(CHECK) or dockerfile.directive("check") or "")


def _warnings(planned: BuildPlan, findings: Iterable[Finding]) -> tuple[LintWarning, ...]:
    options = _options(planned.dockerfile, planned.scope.build_args)
    dockerfile = planned.dockerfile
    source = dockerfile.source
    kept = dict.fromkeys(
        LintWarning(
            rule=RULES[finding.rule],
            message=printable(finding.message),
            file=source.filename,
            span=finding.span,
            source_lines=tuple(source.line(n) for n in range(finding.span.first, finding.span.last + 1)),
        )
        for finding in findings
        if options.and_comments(finding.comments).allows(
            finding.rule, experimental=RULES[finding.rule].experimental
        )
    )
    return tuple(sorted(kept, key=lambda w: (w.span, w.rule.name, w.message)))
