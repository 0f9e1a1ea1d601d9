"""The steps that carry out a check: made as those of a Dockerfile are, so that they are confined like RUN."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from strake_api.models.verification import Check, RequiredCheck
from strake_builder.errors import VerificationError
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.frontend.model.steps import (
    BindMount,
    CopyStep,
    ExecCommand,
    FromContext,
    FromStage,
    HeredocFile,
    Origin,
    RunStep,
    SecretMount,
    TmpfsMount,
    WorkdirStep,
)
from strake_builder.solve.images.base import PulledImage
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import RuntimeConfig

ROOT: Final = "/run/verify/root"
"""Where a tool's image has the files of the image, read-only."""
SBOM: Final = "/run/verify/sbom.json"
"""Where it has the image's SBOM, if one is made."""
SECRETS: Final = "/run/secrets"
RESULTS: Final = "/run/verify/out"
RESULT: Final = f"{RESULTS}/findings.json"
"""Where a scanner writes what it found."""


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """A check whose image is resolved.

    Attributes:
        check: what is asked for.
        tool: its image; None for one that runs in the image that was built.
    """

    check: Check
    tool: PulledImage | None

    @property
    def name(self) -> str:
        """What messages call it: one that a BuildPolicy demands may have the name of another."""
        of = f" of the BuildPolicy {self.check.policy}" if isinstance(self.check, RequiredCheck) else ""
        return f"{self.check.name}{of}"


def require_command(prepared: PreparedCheck) -> None:
    """Refuse a check whose image has nothing to run.

    Raises:
        VerificationError: the check names no command, and its image has none.
    """
    check, tool = prepared.check, prepared.tool
    if tool is not None and not _command(check, tool.config.config):
        raise VerificationError(
            f"the check {prepared.name} has no command, and neither has its image {tool.reference}",
            hint="give it a command",
        )


def require_secrets(prepared: PreparedCheck, given: Collection[str]) -> None:
    """Refuse a check that wants secrets which the build was not given.

    A check of the platform is for every build of a namespace: it goes without those that one has not.

    Raises:
        VerificationError: one is missing.
    """
    missing = [each for each in prepared.check.secrets if each not in given]
    if missing and not isinstance(prepared.check, RequiredCheck):
        raise VerificationError(
            f"the check {prepared.name} wants the secret {missing[0]!r}, which the build was not given",
            hint=f"pass --secret id={missing[0]},src=FILE, or name it in spec.secrets of the ImageBuild",
        )


def run_step(
    prepared: PreparedCheck, plan: BuildPlan, built: RuntimeConfig, told: Mapping[str, str]
) -> RunStep:
    """Return the step that runs a check's program.

    Args:
        prepared: the check.
        plan: of the build whose target is checked.
        built: the config of the image that was built.
        told: environment variables that tell the program of the image.
    """
    check, tool = prepared.check, prepared.tool
    config = built if tool is None else tool.config.config
    for name, value in ((each.name, each.value) for each in check.env):
        config = config.with_env(name, value)
    for name, value in told.items():
        config = config.with_env(name, value)
    origin = origin_of(prepared, plan)
    # In the image that was built nothing is mounted: a test sees all that the image has, in /tmp, too.
    temporary = TmpfsMount("/tmp")  # noqa: S108 - the tool's own
    places = (temporary, BindMount(FromStage(plan.target), "/", ROOT)) if tool else ()
    # Whatever user a check has reads them; nobody else is there.
    secrets = (SecretMount(each, f"{SECRETS}/{each}", mode=0o444) for each in check.secrets)
    return RunStep(
        origin=origin,
        created_by=origin.text,
        config=config,
        command=ExecCommand(_command(check, config)),
        files=(),
        mounts=(*places, *secrets),
        network=check.network,
        security="sandbox",
        environment=config.env,
        proxy_environment=plan.scope.proxy if check.network == "default" else (),
        user=config.user,
        working_dir=config.working_dir or "/",
    )


def results_step(step: RunStep) -> WorkdirStep:
    """Return the step that makes the directory which the program of a check writes into."""
    return WorkdirStep(step.origin, step.created_by, step.config, RESULTS, step.user)


def sbom_step(step: RunStep, sbom: str) -> CopyStep:
    """Return the step that writes the image's SBOM beside a tool's files."""
    return CopyStep(
        step.origin,
        step.created_by,
        step.config,
        sources=(),
        files=(HeredocFile("sbom.json", sbom),),
        source=FromContext(),
        destination=SBOM,
    )


def origin_of(prepared: PreparedCheck, plan: BuildPlan) -> Origin:
    """Return what progress calls a check, at the FROM of the stage that is checked."""
    check, tool = prepared.check, prepared.tool
    where = "in the image" if tool is None else f"with {tool.reference}"
    text = f"{check.kind} {prepared.name} {where}"
    return Origin(plan.dockerfile.source.filename, plan.target_stage.from_.position.span, text)


def _command(check: Check, config: RuntimeConfig) -> tuple[str, ...]:
    if check.command:
        return (*check.command, *check.args)
    return (*(config.entrypoint or ()), *(check.args or config.cmd or ()))
