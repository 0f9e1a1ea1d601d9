"""An image's description in lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from strake_builder.frontend.text.printable import printable
from strake_builder.progress.transfer_lines import size_text

_LISTED: Final = ("Env", "ExposedPorts", "Volumes", "Labels")
_SHOWN: Final = ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal")


def as_text(name: str, described: dict[str, Any]) -> Iterator[str]:
    """Yield the lines. What the image's author wrote cannot move a terminal's cursor."""
    for line in _lines(name, described):
        yield printable(line)


def _lines(name: str, described: dict[str, Any]) -> Iterator[str]:
    images = described["images"]
    yield f"Name:        {name}"
    yield f"Digest:      {described['digest']}"
    yield f"Media type:  {described['mediaType']}"
    yield f"Size:        {size_text(described['size'])}"
    if described["platforms"]:
        yield f"Platforms:   {', '.join(described['platforms'])}"
    several = len(images) != 1 or images[0]["digest"] != described["digest"]
    if several:
        yield from _pairs("Annotations", described["annotations"], "")
    for image in images:
        indent = ""
        if several:
            indent = "  "
            title = image.get("platform") or image.get("artifactType") or image["mediaType"]
            yield ""
            yield f"{title}  {image['digest']}  {size_text(image.get('size', 0))}"
        yield from _image(image, indent)
    if described["attestations"]:
        yield ""
        yield f"Attestations: {len(described['attestations'])}"


def _image(image: dict[str, Any], indent: str) -> Iterator[str]:
    if image.get("created"):
        yield f"{indent}Created:     {image['created']}"
    if image.get("artifactType"):
        yield f"{indent}Artifact:    {image['artifactType']}"
    config = image.get("config") or {}
    for key in _SHOWN:
        if config.get(key):
            value = (
                config[key] if isinstance(config[key], str) else json.dumps(config[key], ensure_ascii=False)
            )
            yield f"{indent}{key + ':':<12} {value}"
    for key in _LISTED:
        yield from _pairs(key, config.get(key) or {}, indent)
    yield from _pairs("Annotations", image.get("annotations") or {}, indent)
    if image.get("layers"):
        yield f"{indent}Layers:"
        for layer in image["layers"]:
            kind = layer["mediaType"].rpartition(".")[2]
            yield f"{indent}  {layer['digest']}  {size_text(layer['size']):>10}  {kind}"


def _pairs(title: str, values: dict[str, Any] | list[str], indent: str) -> Iterator[str]:
    if not values:
        return
    yield f"{indent}{title}:"
    for value in values:
        is_pair = isinstance(values, dict) and values[value] not in ({}, None)
        yield f"{indent}  {value}: {values[value]}" if is_pair else f"{indent}  {value}"  # type: ignore[call-overload] # a dict then
