"""The platform that an ImageBuild asks for: one, for Linux, in the words that registries and nodes use.

Architectures are Go's names (GOARCH): an index of images and the node label kubernetes.io/arch have no other.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from strake_api.models.rule import Rule, checked

ARCHITECTURE_LABEL = "kubernetes.io/arch"
"""Of nodes."""
ARCHITECTURES = ("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x")
_PLATFORM = rf"^linux/({'|'.join(ARCHITECTURES)})(/v[0-9]([.][0-9])?)?$"
_OTHER_SYSTEM = (
    r"^(aix|android|darwin|freebsd|illumos|ios|js|macos|netbsd|openbsd|plan9|solaris|wasip1|windows)(/.*)?$"
)


def _many(text: str) -> bool:
    return "," in text


def _of_another_system(text: str) -> bool:
    return re.fullmatch(_OTHER_SYSTEM, text, re.ASCII) is not None


ONE_PLATFORM: Rule[str] = Rule(
    "!self.contains(',')",
    "platform is one platform: list several in platforms, which makes an index of their images",
    lambda text: not _many(text),
)
FOR_LINUX: Rule[str] = Rule(
    f"self.contains(',') || !self.matches('{_OTHER_SYSTEM}')",
    "only images for Linux can be built: their steps run on a Linux node",
    lambda text: _many(text) or not _of_another_system(text),
)
A_PLATFORM: Rule[str] = Rule(
    f"self.contains(',') || self.matches('{_OTHER_SYSTEM}') || self.matches('{_PLATFORM}')",
    f"platform is written linux/ARCHITECTURE[/VARIANT], such as linux/arm64 or linux/arm/v7; "
    f"architectures are {', '.join(ARCHITECTURES)}",
    lambda text: (
        _many(text) or _of_another_system(text) or re.fullmatch(_PLATFORM, text, re.ASCII) is not None
    ),
)

PlatformText = Annotated[str, Field(max_length=64), *checked(ONE_PLATFORM, FOR_LINUX, A_PLATFORM)]
"""`linux/arch[/variant]`."""

_USUAL = ("linux/amd64/v1", "linux/arm/v7", "linux/arm64/v8")
"""Platforms that are the same without their variant. Source: containerd, platforms/database.go."""


def without_usual_variant(platform: str) -> str:
    """Return a platform without the variant that its architecture has anyway."""
    return platform.rpartition("/")[0] if platform in _USUAL else platform


_PLAIN = f"self.map(p, p in {[*_USUAL]} ? p.substring(0, p.lastIndexOf('/')) : p)"
DIFFERENT_PLATFORMS: Rule[tuple[str, ...]] = Rule(
    f"{_PLAIN}.all(p, {_PLAIN}.exists_one(q, q == p))",
    f"platforms has each platform once: {', '.join(_USUAL)} are the same as without their variant",
    lambda platforms: len({*map(without_usual_variant, platforms)}) == len(platforms),
)
MOST_PLATFORMS = 16

Platforms = Annotated[
    tuple[PlatformText, ...],
    Field(max_length=MOST_PLATFORMS),
    *checked(DIFFERENT_PLATFORMS),
]
"""The platforms of an index, in its order."""


def architecture(platform: str) -> str:
    """Return the architecture of a platform that obeys the rules: "arm64"."""
    return platform.split("/")[1]
