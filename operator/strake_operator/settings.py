"""The platform's settings, read once from the operator's environment.

What a user of the cluster must not decide lives here: the builder's image, how registries are reached,
the resources of builds that ask for none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_api.values.size import parse_size
from strake_operator.default_cache import CacheTemplate
from strake_operator.errors import SettingsError
from strake_operator.registries.document import PlatformRegistries

if TYPE_CHECKING:
    from collections.abc import Mapping

DEADLINE_MARGIN_SECONDS: Final = 60
"""What the Job's deadline adds to spec.timeout: a builder that ends itself in time can say what was slow."""
MAX_UNPACKED_VARIABLE: Final = "STRAKE_MAX_UNPACKED_SIZE"
"""The operator's variable and the builder's."""
_CACHE: Final = "STRAKE_DEFAULT_CACHE_REPOSITORY"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this platform builds."""

    builder_image: str
    """The image that builder pods run."""
    registries: PlatformRegistries = field(default_factory=PlatformRegistries)
    """How builds reach registries: as `registries.source` knows it when a run starts."""
    native_nodes_only: bool = False
    """Whether a build for a platform waits for a node of its architecture, also where others would do."""
    default_cache: CacheTemplate | None = None
    """Where builds that name no cache repository keep results of steps."""
    default_cpu_request: str = "250m"
    default_memory_request: str = "256Mi"
    attempts: int = 3
    """How many pods a run gets when the infrastructure takes them away."""
    grace_seconds: int = 30
    """How long what keeps a run from starting may take to go away before the run fails."""
    keep_seconds: int = 3600
    """How long Job, pod (with the log) and ConfigMap of a run that ended are kept."""
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
    cache = environment.get(_CACHE, "").strip()
    return Settings(
        builder_image=image,
        native_nodes_only=_choice(environment, "STRAKE_NATIVE_NODES", ("preferred", "required"))
        == "required",
        default_cache=CacheTemplate.parse(cache, _CACHE) if cache else None,
        default_cpu_request=environment.get("STRAKE_DEFAULT_CPU_REQUEST", "250m"),
        default_memory_request=environment.get("STRAKE_DEFAULT_MEMORY_REQUEST", "256Mi"),
        attempts=_number(environment, "STRAKE_ATTEMPTS", 3, least=1),
        grace_seconds=_number(environment, "STRAKE_GRACE_SECONDS", 30, least=0),
        keep_seconds=_number(environment, "STRAKE_KEEP_SECONDS", 3600, least=0),
        max_unpacked_size=_size(environment, MAX_UNPACKED_VARIABLE),
    )


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """Return the variable's value; the first choice where there is none."""
    text = environment.get(name, "").strip() or choices[0]
    if text not in choices:
        raise SettingsError(f"{name} must be {' or '.join(choices)}, not {text!r}")
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
