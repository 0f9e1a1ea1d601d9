"""Platforms: which image of an index runs where.

Normalisation and order of preference are those of github.com/containerd/platforms (`Normalize`, `Only`),
which BuildKit, containerd and Docker share: an arm64 machine takes arm/v7 when an index has nothing better.
"""

from __future__ import annotations

import platform as _host
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

from strake_oci.errors import InvalidPlatformError, PlatformNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_PART: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_ARM64: Final = re.compile(r"v([89])(?:\.([0-9]))?", re.ASCII)
_MAX_PARTS: Final = 3
_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_KNOWN_OS: Final = frozenset({"darwin", "freebsd", "illumos", "linux", "netbsd", "openbsd", "windows"})
_KNOWN_ARCHITECTURES: Final = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x", "wasm"}
)


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system and processor.

    Attributes:
        os: GOOS value: "linux".
        architecture: GOARCH value: "amd64".
        variant: Of the architecture: "v7"; "" for the usual one.
        os_version: Only Windows uses it.
        os_features: Only Windows uses it.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `os/architecture[/variant]`, or one of os and architecture alone, normalised.

        Raises:
            InvalidPlatformError: Not a platform.
        """
        parts = text.split("/")
        if len(parts) > _MAX_PARTS or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidPlatformError(
                f"{text[:80]!r} is not a platform", hint="write it as linux/amd64 or linux/arm/v7"
            )
        if len(parts) > 1:
            return cls(parts[0], parts[1], parts[2] if len(parts) == _MAX_PARTS else "").normalized()
        word = _normal_os(parts[0])
        here = host()
        if word in _KNOWN_OS:
            return cls(word, here.architecture, here.variant)
        made = cls("linux", word).normalized()
        if made.architecture not in _KNOWN_ARCHITECTURES:
            raise InvalidPlatformError(
                f"{text[:80]!r} is neither an operating system nor an architecture",
                hint="write it as linux/amd64",
            )
        return made

    def normalized(self) -> Self:
        """Return the same platform in the one spelling that can be compared."""
        architecture = self.architecture.lower()
        variant = self.variant.lower()
        if architecture in _ARCHITECTURES:
            architecture, implied = _ARCHITECTURES[architecture]
            variant = implied or variant
        elif architecture == "i386":
            architecture, variant = "386", ""
        match architecture, variant:
            case ("amd64", "v1") | ("arm64", "8" | "v8" | "v8.0"):
                variant = ""
            case "arm64", "9" | "9.0" | "v9.0":
                variant = "v9"
            case "arm", "" | "7":
                variant = "v7"
            case "arm", "5" | "6" | "8":
                variant = f"v{variant}"
            case _:
                pass
        return type(self)(_normal_os(self.os), architecture, variant, self.os_version, self.os_features)

    def __str__(self) -> str:
        parts = [self.os, self.architecture]
        if self.variant:
            parts.append(self.variant)
        return "/".join(parts)


def host() -> Platform:
    """Return the platform this process runs on."""
    return Platform(_host.system() or "linux", _host.machine() or "amd64").normalized()


def acceptable(wanted: Platform) -> tuple[Platform, ...]:
    """Return the platforms whose images run on the wanted one, best first.

    Source: containerd/platforms `compare.go`, `platformVector`.
    """
    wanted = wanted.normalized()
    os, architecture = wanted.os, wanted.architecture
    vector = [wanted]
    match architecture:
        case "amd64":
            level = _level(wanted.variant)
            vector += [Platform(os, "amd64", f"v{i}" if i > 1 else "") for i in range(level - 1, 0, -1)]
            vector.append(Platform(os, "386"))
        case "arm":
            vector += [Platform(os, "arm", f"v{i}") for i in range(_level(wanted.variant) - 1, 4, -1)]
        case "arm64":
            variants = _older_arm64(wanted.variant)
            vector += [Platform(os, "arm64", variant).normalized() for variant in variants]
            vector += [Platform(os, "arm", f"v{i}") for i in range(8, 4, -1)]
        case _:
            pass
    return tuple(vector)


def choose(wanted: Platform, candidates: Iterable[tuple[Platform | None, T]]) -> T:
    """Return the candidate that suits the wanted platform best; among equals, the first.

    A candidate without a platform suits nobody, nor does one for "unknown/unknown" (BuildKit's attestations).

    Raises:
        PlatformNotFoundError: None suits. The message lists what there is.
    """
    listed = [(platform.normalized(), value) for platform, value in candidates if platform is not None]
    for accepted in acceptable(wanted):
        for platform, value in listed:
            if (platform.os, platform.architecture, platform.variant) == (
                accepted.os,
                accepted.architecture,
                accepted.variant,
            ) and _os_version_fits(accepted.os_version, platform.os_version):
                return value
    there = sorted({str(platform) for platform, _ in listed if platform.os != "unknown"})
    raise PlatformNotFoundError(
        f"no image for platform {wanted}",
        hint=f"there is {', '.join(there)}" if there else "the index is empty",
    )


def _normal_os(os: str) -> str:
    os = os.lower()
    return "darwin" if os == "macos" else os


def _level(variant: str) -> int:
    digits = variant.removeprefix("v")
    return min(int(digits), 9) if digits.isascii() and digits.isdigit() else 1


def _older_arm64(variant: str) -> Iterator[str]:
    """Yield the variants whose images a processor runs besides its own: Armv9.n is Armv8.(n+5), and more."""
    found = _ARM64.fullmatch(variant)
    if found is None:
        return
    level = int(found[2] or 0)
    yield from (f"v{found[1]}.{minor}" for minor in range(level - 1, -1, -1))
    if found[1] == "9":
        yield from (f"v8.{minor}" for minor in range(min(level + 5, 9), -1, -1))


def _os_version_fits(wanted: str, offered: str) -> bool:
    # Windows images run where the first three numbers (the build) agree.
    return not wanted or not offered or wanted.split(".")[:3] == offered.split(".")[:3]
