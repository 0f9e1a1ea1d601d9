"""The image config: what an image is made of and how it is run (OCI image-spec 1.1, config.md).

Docker's extensions (`Healthcheck`, `Shell`, `OnBuild`, `ArgsEscaped`) are reserved fields there and are kept.
So is everything else that a config carries: reading and writing one loses nothing.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from strake_oci.errors import InvalidDocumentError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.descriptor import platform_to_json
from strake_oci.spec.digest import DiffID, Digest
from strake_oci.spec.image_wire import ImageModel
from strake_oci.spec.platform import Platform
from strake_oci.spec.wire import MAX_CONFIG, decode, encode, extra_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.spec.image_wire import HealthcheckModel, RuntimeModel

_ROOTFS_TYPE: Final = "layers"


def timestamp(when: datetime) -> str:
    """Return a time as image configs spell it: RFC 3339 in UTC."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """How Docker finds out whether a container still works.

    Attributes:
        test: ("NONE",), ("CMD", program, …) or ("CMD-SHELL", command); () inherits.
        interval: Nanoseconds between checks; 0 inherits. So with the other times.
        timeout: Nanoseconds a check may take.
        start_period: Nanoseconds in which failures do not count.
        start_interval: Nanoseconds between checks during the start period.
        retries: Failures in a row that make a container unhealthy.
        extra: Fields that are not known.
    """

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """How a container of the image is run: the config's `config` object.

    Attributes:
        user: Name or number, with `:group`.
        exposed_ports: "80/tcp" and the like, sorted.
        env: "NAME=value" strings in order; a name appears once.
        entrypoint: Program and leading arguments; None is not set, () is set to nothing.
        cmd: Arguments, or the program where there is no entrypoint.
        volumes: Mount points, sorted.
        working_dir: Where the program starts; "" is "/".
        labels: Notes about the image.
        stop_signal: "SIGTERM" or a number.
        healthcheck: Docker extension.
        shell: Docker extension: what runs the shell form of instructions.
        on_build: Docker extension: instructions that run in images built on this one.
        args_escaped: Docker extension of Windows images.
        extra: Fields that are not known.
    """

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def env_value(self, name: str) -> str | None:
        """Return the value of an environment variable, or None where it is not set."""
        prefix = f"{name}="
        return next((entry[len(prefix) :] for entry in reversed(self.env) if entry.startswith(prefix)), None)

    def with_env(self, name: str, value: str) -> RuntimeConfig:
        """Return this config with a variable set: in its old place if it was set before, else at the end."""
        entry = f"{name}={value}"
        env = tuple(entry if old.partition("=")[0] == name else old for old in self.env)
        return replace(self, env=env if entry in env else (*env, entry))


@dataclass(frozen=True, slots=True)
class History:
    """How one step made the image what it is.

    Attributes:
        created: RFC 3339 time as text (Go writes nanoseconds, which `datetime` would drop), or None.
        created_by: The instruction.
        author: Who.
        comment: The tool.
        empty_layer: The step added no layer.
        extra: Fields that are not known.
    """

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image config.

    Attributes:
        platform: What the image runs on, as the config spells it.
        config: How it is run.
        diff_ids: One per layer, bottom first.
        history: Bottom first.
        created: RFC 3339 time as text, or None.
        author: Who made it.
        extra: Fields that are not known.
    """

    platform: Platform
    config: RuntimeConfig = field(default_factory=RuntimeConfig)
    diff_ids: tuple[DiffID, ...] = ()
    history: tuple[History, ...] = ()
    created: str | None = None
    author: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an image config of either family.

        Raises:
            InvalidDocumentError: It breaks its specification.
            SizeExceededError: It is too long.
        """
        # The wire form is imported here: image_wire builds the types above.
        model = decode(ImageModel, data, what="image config", limit=MAX_CONFIG)
        try:
            return cls(**_from_wire(model))
        except ValueError as error:
            raise InvalidDocumentError(f"image config is not valid: {error}") from error

    def serialize(self) -> bytes:
        """Return the canonical bytes: compact, fixed order of keys, maps sorted, empty fields left out."""
        return encode(_to_wire(self))


def _from_wire(model: ImageModel) -> dict[str, Any]:
    """Return the fields of an `ImageConfig`.

    Raises:
        ValueError: A diff ID is no digest.
    """
    return {
        "platform": Platform(
            model.os, model.architecture, model.variant, model.os_version, tuple(model.os_features)
        ),
        "config": _runtime(model.config) if model.config else RuntimeConfig(),
        "diff_ids": tuple(DiffID(Digest.parse(text)) for text in model.rootfs.diff_ids),
        "history": tuple(
            History(
                entry.created,
                entry.created_by,
                entry.author,
                entry.comment,
                bool(entry.empty_layer),
                extra_of(entry),
            )
            for entry in model.history or ()
        ),
        "created": model.created,
        "author": model.author,
        "extra": extra_of(model),
    }


def _runtime(model: RuntimeModel) -> RuntimeConfig:
    return RuntimeConfig(
        user=model.user,
        exposed_ports=tuple(sorted(model.exposed_ports)),
        env=tuple(model.env),
        entrypoint=_optional(model.entrypoint),
        cmd=_optional(model.cmd),
        volumes=tuple(sorted(model.volumes)),
        working_dir=model.working_dir,
        labels=model.labels,
        stop_signal=model.stop_signal,
        healthcheck=_healthcheck(model.healthcheck),
        shell=_optional(model.shell),
        on_build=tuple(model.on_build),
        args_escaped=bool(model.args_escaped),
        extra=extra_of(model),
    )


def _healthcheck(check: HealthcheckModel | None) -> Healthcheck | None:
    if check is None:
        return None
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    return Healthcheck(tuple(check.test), *times, check.retries, extra_of(check))


def _to_wire(image: ImageConfig) -> dict[str, Any]:
    """Return the wire form of an image config, empty fields left out."""
    document: dict[str, Any] = {"created": image.created, "author": image.author}
    document = _filled(document) | platform_to_json(image.platform)
    document["config"] = _runtime_to_wire(image.config)
    document["rootfs"] = {"type": _ROOTFS_TYPE, "diff_ids": [str(diff_id) for diff_id in image.diff_ids]}
    if image.history:
        document["history"] = [_history_to_wire(entry) for entry in image.history]
    return {**document, **image.extra}


def _runtime_to_wire(config: RuntimeConfig) -> dict[str, Any]:
    document = _filled(
        {
            "User": config.user,
            "ExposedPorts": {port: {} for port in sorted(config.exposed_ports)},
            "Env": list(config.env),
            "Entrypoint": _optional_list(config.entrypoint),
            "Cmd": _optional_list(config.cmd),
            "Volumes": {path: {} for path in sorted(config.volumes)},
            "WorkingDir": config.working_dir,
            "Labels": dict(sorted(config.labels.items())),
            "StopSignal": config.stop_signal,
            "Healthcheck": _healthcheck_to_wire(config.healthcheck),
            "Shell": _optional_list(config.shell),
            "OnBuild": list(config.on_build),
            "ArgsEscaped": config.args_escaped,
        }
    )
    # Set to nothing is not the same as not set: it takes away what a base image says.
    for key, value in (("Entrypoint", config.entrypoint), ("Cmd", config.cmd)):
        if value == ():
            document[key] = []
    return {**document, **config.extra}


def _healthcheck_to_wire(check: Healthcheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return _filled(
        {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
    ) | dict(check.extra)


def _history_to_wire(entry: History) -> dict[str, Any]:
    return _filled(
        {
            "created": entry.created,
            "created_by": entry.created_by,
            "author": entry.author,
            "comment": entry.comment,
            "empty_layer": entry.empty_layer,
        }
    ) | dict(entry.extra)


def _filled(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value}


def _optional(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _optional_list(value: tuple[str, ...] | None) -> list[str] | None:
    return None if value is None else list(value)
