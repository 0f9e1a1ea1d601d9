"""The platform's settings, read once from the operator's environment.

What a user of the cluster must not decide lives here: the builder's image, how registries are reached,
the resources of builds that ask for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_api.values.attestations import DEFAULT_GENERATOR
from strake_api.values.platform import A_PLATFORM, FOR_LINUX, without_usual_variant
from strake_api.values.quantity import parse_quantity
from strake_api.values.size import parse_size
from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference
from strake_operator.errors import SettingsError
from strake_operator.isolation import ISOLATION_VARIABLE, IsolationSetting
from strake_operator.registries.document import PlatformRegistries
from strake_operator.settings.default_cache import RepositoryTemplate
from strake_operator.settings.networks import ALWAYS_DENIED, read_allowed, read_denied
from strake_operator.settings.sigstore import read_sigstore
from strake_operator.settings.vault import Vault, read_vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_api.models.source_policy import SourcePolicy
    from strake_api.models.verification import RequiredCheck
    from strake_api.requests.build import ImageRule

DEADLINE_MARGIN_SECONDS: Final = 60
"""What the Job's deadline adds to spec.timeout: a builder that ends itself in time can say what was slow."""
MOST_VOLUMES: Final = 8
"""Base images that a pod mounts at most: each is work for the kubelet, needed or not."""
MAX_UNPACKED_VARIABLE: Final = "STRAKE_MAX_UNPACKED_SIZE"
"""The operator's variable and the builder's."""
_CACHE: Final = "STRAKE_DEFAULT_CACHE_REPOSITORY"
_LOGS: Final = "STRAKE_LOG_REPOSITORY"
_WHOSE_LOGS: Final = "a tenant could read and replace the logs of another; each namespace has its own"
_LOCALHOST: Final = "localhost/"
_SECCOMP_FILE: Final = re.compile(r"(?!.*(^|/)\.\.?(/|$))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
_OBJECT_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DefaultResources:
    """Requests and limits of builds that name none, as quantities of Kubernetes; no limit where None."""

    cpu_request: str = "250m"
    memory_request: str = "256Mi"
    disk_request: str = "1Gi"
    """Of ephemeral-storage: without it Kubernetes would reserve all of the limit."""
    cpu_limit: str | None = "4"
    memory_limit: str | None = "4Gi"
    disk_limit: str | None = "20Gi"


@dataclass(frozen=True, slots=True)
class DefaultPlacement:
    """What builder pods get besides what their spec asks for: of BuildPolicies."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, object], ...] = ()
    priority_class: str | None = None
    """Of pods whose spec names none."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that the builds of a namespace may ask for of a resource."""

    policy: str
    """The BuildPolicy that says so."""
    resource: str
    """As in a pod's limits: memory, ephemeral-storage, cpu."""
    amount: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How this platform builds."""

    builder_image: str
    """The image that builder pods run."""
    registries: PlatformRegistries = field(default_factory=PlatformRegistries)
    """How builds reach registries: as `registries.source` knows it when a run starts."""
    denied_networks: tuple[str, ...] = ALWAYS_DENIED
    """Networks that ADD, git, and registries that a build names must not be in."""
    allowed_networks: tuple[str, ...] = ()
    """What of them is open again."""
    native_nodes_only: bool = False
    """Whether a build for a platform waits for a node of its architecture, also where others would do."""
    emulated_platforms: tuple[str, ...] = ()
    """Platforms of several in a spec that are built on any node: an emulator there runs their programs."""
    default_cache: RepositoryTemplate | None = None
    """Where builds that name no cache repository keep results of steps."""
    log_repository: RepositoryTemplate | None = None
    """Where logs of runs are kept; nowhere where None."""
    default_pull_secret: str | None = None
    """The pull Secret of builds that name none, of a namespace's policies."""
    log_secret: str | None = None
    """What opens the logs' repository, of a namespace's policies; the build's push Secret where None."""
    isolation: IsolationSetting = "auto"
    """How steps are to be kept apart: the best that can be had, or one kind and no other."""
    seccomp_profile: str | None = None
    """The filter of nested pods: a file in the kubelet's directory of profiles; no filter where None."""
    runtime_class: str | None = None
    """The RuntimeClass of builder pods; the nodes' default where None."""
    placement: DefaultPlacement = field(default_factory=DefaultPlacement)
    """Where builder pods run."""
    mounts_bases: bool = True
    """Whether pods mount base images as image volumes, where the cluster has them."""
    base_images: tuple[str, ...] = ()
    """Images that every builder pod mounts: `repository@digest` of manifests for one platform."""
    image_rules: tuple[ImageRule, ...] = ()
    """Which images a namespace's builds may name, of its policies."""
    source_policies: tuple[SourcePolicy, ...] = ()
    """What may be built from, and what stands for it, of a namespace's policies."""
    required_checks: tuple[RequiredCheck, ...] = ()
    """What images must pass before their tags move, of a namespace's policies."""
    resources: DefaultResources = field(default_factory=DefaultResources)
    """What builds get that ask for nothing."""
    ceilings: tuple[Ceiling, ...] = ()
    """The most that builds may ask for, of a namespace's policies."""
    max_runs: int | None = 100
    """How many runs go on at a time in the cluster; no limit where None."""
    max_runs_per_namespace: int | None = 20
    """How many runs of a namespace go on at a time; no limit where None."""
    attempts: int = 3
    """How many pods a run gets when the infrastructure takes them away."""
    grace_seconds: int = 30
    """How long what keeps a run from starting may take to go away before the run fails."""
    keep_seconds: int = 3600
    """How long Job, pod (with the log) and ConfigMap of a run that ended are kept."""
    sbom_generator: str = DEFAULT_GENERATOR
    """The scanner's image of builds that want an SBOM and name none."""
    vault: Vault | None = None
    """Whose keys builds may sign with."""
    sigstore: str = ""
    """Whose certificates builds may sign with: Sigstore's `ClientTrustConfig`, in JSON."""
    max_unpacked_size: str | None = None
    """What one layer or archive may take on disk, unpacked; the builder's default where None."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that environment variables give.

    Raises:
        SettingsError: A variable is missing or has a value that makes no sense.
    """
    image = environment.get("STRAKE_BUILDER_IMAGE", "").strip()
    if not image:
        raise SettingsError("STRAKE_BUILDER_IMAGE is not set: it names the image that builder pods run")
    cache, logs = (environment.get(each, "").strip() for each in (_CACHE, _LOGS))
    return Settings(
        builder_image=image,
        denied_networks=read_denied(environment),
        allowed_networks=read_allowed(environment),
        native_nodes_only=_choice(environment, "STRAKE_NATIVE_NODES", ("preferred", "required"))
        == "required",
        emulated_platforms=_platforms(environment, "STRAKE_EMULATED_PLATFORMS"),
        default_cache=RepositoryTemplate.parse(cache, _CACHE) if cache else None,
        log_repository=RepositoryTemplate.parse(logs, _LOGS, _WHOSE_LOGS) if logs else None,
        isolation=_isolation(environment),
        seccomp_profile=_seccomp_profile(environment, "STRAKE_SECCOMP_PROFILE"),
        runtime_class=_runtime_class(environment, "STRAKE_RUNTIME_CLASS"),
        mounts_bases=_choice(environment, "STRAKE_BASE_VOLUMES", ("auto", "off")) == "auto",
        base_images=_base_images(environment, "STRAKE_BASE_IMAGES"),
        resources=_resources(environment),
        max_runs=_number(environment, "STRAKE_MAX_RUNS", 100, least=0) or None,
        max_runs_per_namespace=_number(environment, "STRAKE_MAX_RUNS_PER_NAMESPACE", 20, least=0) or None,
        attempts=_number(environment, "STRAKE_ATTEMPTS", 3, least=1),
        grace_seconds=_number(environment, "STRAKE_GRACE_SECONDS", 30, least=0),
        keep_seconds=_number(environment, "STRAKE_KEEP_SECONDS", 3600, least=0),
        sbom_generator=_image(environment, "STRAKE_SBOM_GENERATOR", DEFAULT_GENERATOR),
        vault=read_vault(environment),
        sigstore=read_sigstore(environment),
        max_unpacked_size=_size(environment, MAX_UNPACKED_VARIABLE),
    )


def _resources(environment: Mapping[str, str]) -> DefaultResources:
    read = DefaultResources(
        cpu_request=_quantity(environment, "STRAKE_DEFAULT_CPU_REQUEST", "250m"),
        memory_request=_quantity(environment, "STRAKE_DEFAULT_MEMORY_REQUEST", "256Mi"),
        disk_request=_quantity(environment, "STRAKE_DEFAULT_DISK_REQUEST", "1Gi"),
        cpu_limit=_quantity(environment, "STRAKE_DEFAULT_CPU_LIMIT", "4") or None,
        memory_limit=_quantity(environment, "STRAKE_DEFAULT_MEMORY_LIMIT", "4Gi") or None,
        disk_limit=_quantity(environment, "STRAKE_DEFAULT_DISK_LIMIT", "20Gi") or None,
    )
    for kind, request, limit in (
        ("CPU", read.cpu_request, read.cpu_limit),
        ("MEMORY", read.memory_request, read.memory_limit),
        ("DISK", read.disk_request, read.disk_limit),
    ):
        if request and limit and parse_quantity(request) > parse_quantity(limit):
            names = f"STRAKE_DEFAULT_{kind}_REQUEST must not be more than STRAKE_DEFAULT_{kind}_LIMIT"
            raise SettingsError(f"{names}: {request} is more than {limit}")
    return read


def _quantity(environment: Mapping[str, str], name: str, default: str) -> str:
    """Return the variable's value, a quantity of Kubernetes above zero; "" where it is set to nothing."""
    text = environment.get(name, default).strip()
    try:
        if text and parse_quantity(text) <= 0:
            raise SettingsError(f"{name} must be more than nothing, not {text!r}; empty means none")
    except ValueError as error:
        raise SettingsError(f"{name} must be a quantity such as 500m, 2 or 4Gi, not {text!r}") from error
    return text


def _isolation(environment: Mapping[str, str]) -> IsolationSetting:
    choices: tuple[IsolationSetting, ...] = ("auto", "nested", "chroot")
    chosen = _choice(environment, ISOLATION_VARIABLE, choices)
    return next(each for each in choices if each == chosen)


def _seccomp_profile(environment: Mapping[str, str], name: str) -> str | None:
    """Return the path of a profile in the kubelet's directory; None where there is none."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    path = text.removeprefix(_LOCALHOST)
    if path == text or not _SECCOMP_FILE.fullmatch(path):
        raise SettingsError(
            f"{name} must name a file in the nodes' directory of profiles, as localhost/strake-builder.json, "
            f"not {text!r}"
        )
    return path


def _runtime_class(environment: Mapping[str, str], name: str) -> str | None:
    text = environment.get(name, "").strip()
    if text and not _OBJECT_NAME.fullmatch(text):
        raise SettingsError(f"{name} must be the name of a RuntimeClass, not {text!r}")
    return text or None


def _image(environment: Mapping[str, str], name: str, default: str) -> str:
    text = environment.get(name, "").strip() or default
    try:
        Reference.parse(text)
    except OCIError as error:
        raise SettingsError(
            f"{name} must be the reference of an image, not {text!r}: {error.message}"
        ) from error
    return text


def _base_images(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the images that a variable lists, each by the digest of a manifest."""
    found = []
    for text in environment.get(name, "").replace(",", " ").split():
        try:
            reference = Reference.parse(text)
        except OCIError as error:
            raise SettingsError(f"{name} lists {text!r}: {error.message}") from error
        if reference.digest is None:
            raise SettingsError(
                f"{name} must list images by digest, as docker.io/library/debian@sha256:…, not {text!r}: "
                "a tag does not tell which image a volume has"
            )
        found.append(f"{reference.repository}@{reference.digest}")
    if len(found) > MOST_VOLUMES:
        raise SettingsError(f"{name} lists {len(found)} images: a pod mounts {MOST_VOLUMES} at most")
    return tuple(found)


def _platforms(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the platforms that a variable lists, without variants that their architecture has anyway."""
    found = []
    for text in environment.get(name, "").replace(",", " ").split():
        try:
            found.append(without_usual_variant(A_PLATFORM.check(FOR_LINUX.check(text))))
        except ValueError as error:
            raise SettingsError(f"{name} lists {text!r}: {error}") from error
    return tuple(found)


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return the variable's value; the first choice where there is none."""
    text = environment.get(name, "").strip() or choices[0]
    if text not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise SettingsError(f"{name} must be {listed}, not {text!r}")
    return text


def _size(environment: Mapping[str, str], name: str) -> str | None:
    """Return the variable's value, a size that leaves room for something; None where there is none."""
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        size = parse_size(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be a size such as 500MiB or 20GiB, not {text!r}") from error
    if not size:
        raise SettingsError(f"{name} must leave room for something, which {text!r} does not")
    return text


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise SettingsError(f"{name} must be a whole number of at least {least}, not {text!r}")
    return int(text)
