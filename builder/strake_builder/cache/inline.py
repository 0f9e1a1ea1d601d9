"""The step cache inside an image: a note in its manifest says which steps its layers are.

An image that was built with the note serves as a cache with nothing beside it; only layers of the image
itself can be had from it, not those of the stages that it copied from.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from strake_builder.cache.entry import UnsoundEntryError, read_timestamp
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, Warn
from strake_builder.layers.blobs import StoredLayer
from strake_oci.errors import OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import timestamp
from strake_oci.spec.wire import WireModel

ANNOTATION: Final = "dev.strake.cache.inline.v1"


class _NoteModel(WireModel):
    keys: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    layer: Annotated[int, Field(ge=0)] | None = None
    created: str


@dataclass(frozen=True, slots=True)
class InlineSource:
    """An image that may carry the note.

    Attributes:
        annotations: of its manifest.
        layers: of the image, bottom first.
    """

    annotations: Mapping[str, str]
    layers: tuple[StoredLayer, ...]


class InlineCache:
    """A `StepCache` that reads the note of an image. Thread-safe. It keeps nothing: `inline_note` does.

    Args:
        image: the image's name, for messages.
        load: gets the image, or None where there is none yet.
        warn: hears of an image that cannot be used.
    """

    def __init__(self, image: str, load: Callable[[], InlineSource | None], warn: Warn) -> None:
        self.name = f"the image {image}"
        self._load = load
        self._warn = warn
        self._lock = threading.Lock()
        self._known: dict[Key, CachedStep] | None = None

    def lookup(self, key: Key) -> CachedStep | None:
        """Return what the image says about a key."""
        with self._lock:
            if self._known is None:
                self._known = self._read()
        return self._known.get(key)

    def store(self, keys: tuple[Key, ...], result: CachedStep) -> None:
        """Do nothing: the image is written when it is finished."""

    def _read(self) -> dict[Key, CachedStep]:
        try:
            source = self._load()
            return _read_note(source) if source is not None else {}
        except (OCIError, UnsoundEntryError) as error:
            self._warn(f"{self.name} cannot be used as a cache: {error}")
            return {}


def inline_note(steps: Iterable[tuple[tuple[Key, ...], int | None, datetime]]) -> str:
    """Return the annotation's value for an image.

    Args:
        steps: keys, position of the layer in the image (None for a step that changed nothing), and
            when the step ended.
    """
    notes = [
        {"keys": [key.hex for key in keys], "layer": position, "created": timestamp(created)}
        for keys, position, created in steps
    ]
    return json.dumps(notes, separators=(",", ":"))


def _read_note(source: InlineSource) -> dict[Key, CachedStep]:
    text = source.annotations.get(ANNOTATION)
    if text is None:
        return {}
    try:
        notes = TypeAdapter(list[_NoteModel]).validate_json(text)
    except ValidationError as error:
        raise UnsoundEntryError(f"its note is damaged: {error.errors()[0]['msg']}") from error
    known: dict[Key, CachedStep] = {}
    for note in notes:
        if note.layer is not None and note.layer >= len(source.layers):
            raise UnsoundEntryError("its note speaks of layers that it does not have")
        layer = source.layers[note.layer] if note.layer is not None else None
        result = CachedStep(layer, read_timestamp(note.created))
        known.update((Key(key), result) for key in note.keys)
    return known
