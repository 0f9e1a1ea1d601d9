"""Drawn Dockerfiles for one and several platforms: which base a stage has, what its variables are, what the image says.

There is no RUN: here one of a foreign platform is refused where there is no emulator, BuildKit tries it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import Final

from strake_oci.registry import RegistryClient
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference
from tests.conformance.cases import Case

_MADE: Final = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386")
_ASKED: Final = (*_MADE, "linux/arm64/v8", "linux/amd64/v2", "linux/riscv64")
_NAMES: Final = tuple(
    f"{side}{what}" for side in ("TARGET", "BUILD") for what in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
_FLAGS: Final = (
    *("", "", "", "$BUILDPLATFORM", "$TARGETPLATFORM", "linux/arm64", "linux/${TARGETARCH}", "linux/arm/v7"),
    *("${P:-linux/amd64}", "linux/$TARGETARCH/$TARGETVARIANT", "$TARGETOS/$TARGETARCH"),
)
_FILES: Final = {"one": "1\n", **{f"d/{name}": f"{name}\n" for name in ("amd64", "arm64", "arm", "386")}}


class PlatformsDrawing:
    """One drawing: up to three stages on `MANY`, an image of several platforms."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def case(self) -> Case:
        """Draw a case."""
        drawn = self._random
        lines = [self._global() for _ in range(drawn.choice((0, 0, 1, 2)))]
        stages: list[str] = []
        for number in range(drawn.choice((1, 2, 2, 3))):
            flag = drawn.choice(_FLAGS)
            base = drawn.choice(("MANY", "MANY", "scratch", *stages))
            lines.append(f"FROM {f'--platform={flag} ' if flag else ''}{base} AS s{number}")
            lines += [self._instruction(stages) for _ in range(drawn.randint(1, 5))]
            stages.append(f"s{number}")
        count = drawn.choice((1, 1, 2, 3))
        platforms = tuple(drawn.sample(_MADE if drawn.random() < 0.8 else _ASKED, count))
        args = (f"{drawn.choice(_NAMES)}=given",) if drawn.random() < 0.15 else ()
        return Case("\n".join(lines) + "\n", files=dict(_FILES), args=args, platforms=platforms)

    def _global(self) -> str:
        name = self._random.choice(_NAMES)
        return self._random.choice((f"ARG {name}", f"ARG {name}=x", "ARG P=linux/arm64"))

    def _instruction(self, stages: list[str]) -> str:
        name, other = self._random.choices(_NAMES, k=2)
        number = self._random.randint(1, 3)
        copied = (
            (f"COPY --from={self._random.choice(stages)} /{self._random.choice(('', 'etc'))} /c{number}/",)
            if stages
            else ("COPY --from=MANY /etc/passwd /p",)
        )
        return self._random.choice(
            (
                f"ARG {name}",
                f"ARG {name} {other}",
                f"ARG {name}=d",
                f"ENV E{number}=${{{name}:-none}}",
                f"LABEL l{number}=${name}",
                f"WORKDIR /w/${name}",
                f"COPY one /o-${{{name}}}",
                "COPY d/$TARGETARCH* /t/",
                f"COPY <<f /h/\n${name}\nf",
                *copied,
            )
        )


def push_for_platforms(client: RegistryClient, image: Reference) -> str:
    """Push an index of an image that says to be for several platforms, and return its name."""
    repository = image.repository
    manifest = parse(client.manifest(repository, image.tag or "")[1])
    assert isinstance(manifest, Manifest)
    with client.open_blob(repository, manifest.config) as blob:
        config = ImageConfig.parse(blob.read())
    entries = []
    for text in _MADE:
        platform = Platform.parse(text)
        runtime = replace(config.config, labels={"for": text})
        data = replace(config, platform=platform, config=runtime).serialize()
        descriptor = Descriptor.of(manifest.config.media_type, data)
        client.push_blob(repository, descriptor, partial(BytesIO, data))
        pushed = replace(manifest, config=descriptor).serialize()
        entry = Descriptor.of(manifest.media_type, pushed)
        client.push_manifest(replace(image, tag=None, digest=entry.digest), pushed, manifest.media_type)
        entries.append(replace(entry, platform=platform))
    index = Index(tuple(entries))
    client.push_manifest(replace(image, tag="many"), index.serialize(), index.media_type)
    return f"{repository}:many"
