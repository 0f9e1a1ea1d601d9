"""The form of an image: how its layers are packed, whose media types it has, what it says about itself.

An ImageBuild and a BuildRequest say it in the same words, so one model and its rules serve both.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying

EPOCH_LIMIT = 99_999_999_999
"""Seconds since 1970, in the year 5138. Images give their time in RFC 3339, which ends with the year 9999."""
_GZIP_MAX = 9
_ZSTD_MIN = 1

Compression = Literal["gzip", "zstd", "none"]
MediaTypes = Literal["oci", "docker"]
Compatibility = Literal[1]
"""Versions of how images are written: layers, config and manifest, for the same files and steps."""
Note = Annotated[str, Field(max_length=4096)]


def _level_fits(form: ImageForm) -> bool:
    level = form.compression_level
    match form.compression:
        case "gzip":
            return level is None or level <= _GZIP_MAX
        case "zstd":
            return level is None or level >= _ZSTD_MIN
        case "none":
            return level is None


LEVEL_FITS: Rule[ImageForm] = Rule(
    "!has(self.compressionLevel) || (self.compression == 'gzip' && self.compressionLevel <= 9)"
    " || (self.compression == 'zstd' && self.compressionLevel >= 1)",
    "compressionLevel is 0 to 9 for gzip and 1 to 22 for zstd; without compression there is none",
    _level_fits,
)
ZSTD_IS_OCI: Rule[ImageForm] = Rule(
    "self.mediaTypes != 'docker' || self.compression != 'zstd'",
    "zstd needs mediaTypes oci: Docker's media types have no name for it",
    lambda form: form.media_types != "docker" or form.compression != "zstd",
)
ANNOTATIONS_ARE_OCI: Rule[ImageForm] = Rule(
    "self.mediaTypes != 'docker' || !has(self.annotations) || self.annotations.size() == 0",
    "annotations need mediaTypes oci: Docker's manifests have none. Use labels",
    lambda form: form.media_types != "docker" or not form.annotations,
)
NAMED_NOTES: Rule[ImageForm] = Rule(
    "(!has(self.labels) || !('' in self.labels)) && (!has(self.annotations) || !('' in self.annotations))",
    "each label and annotation needs a name",
    lambda form: "" not in form.labels and "" not in form.annotations,
)


FORM_RULES: tuple[Rule[ImageForm], ...] = (LEVEL_FITS, ZSTD_IS_OCI, ANNOTATIONS_ARE_OCI, NAMED_NOTES)


class ImageForm(Document):
    """How an image is written."""

    model_config = ConfigDict(json_schema_extra=cel_rules(*FORM_RULES))

    compression: Compression = "gzip"
    """How layers are packed: gzip, zstd or none. Layers of base images stay as they are."""
    compression_level: Annotated[int, Field(ge=0, le=22)] | None = None
    """gzip: 0 to 9. zstd: 1 to 22. By default a fast one."""
    media_types: MediaTypes = "oci"
    """Whose names the parts of the image have: oci or docker."""
    labels: Annotated[dict[str, Note], Field(max_length=128)] = Field(default_factory=dict)
    """Labels of the image, over those of the Dockerfile."""
    annotations: Annotated[dict[str, Note], Field(max_length=128)] = Field(default_factory=dict)
    """Annotations of the image's manifest."""
    reproducible: bool = False
    """The same inputs give the same digest: times are fixed, at 1970 if nothing else says which."""
    source_date_epoch: Annotated[int, Field(ge=0, le=EPOCH_LIMIT)] | None = None
    """Seconds since 1970: the time of the image and its history, and the latest of files in new layers."""
    compatibility: Compatibility = 1
    """The version of how images are written. What would change digests comes with a new one."""

    @model_validator(mode="after")
    def _form_rules(self) -> Self:
        return obeying(self, *FORM_RULES)


EPOCH_ARGUMENT = "SOURCE_DATE_EPOCH"
EPOCH_PATTERN = r"^[0-9]{1,11}$"
EPOCH_NAME_PATTERN = r"^[0-9][0-9._/:@-]{0,99}[A-Za-z]|^[A-Za-z]"
"""How a name begins, which has a letter somewhere: of a named context or a stage, or the word `context`."""
EPOCH_OF_CONTEXT = "context"
"""The build argument SOURCE_DATE_EPOCH that stands for the time of the build context, as with BuildKit."""


def epoch_number(text: str) -> int | None:
    """Return a SOURCE_DATE_EPOCH as a number; None where it is a name, or empty."""
    return int(text) if re.fullmatch(EPOCH_PATTERN, text, re.ASCII) else None


def is_epoch(text: str) -> bool:
    """Say whether a text could be a SOURCE_DATE_EPOCH: a number, or the name of a context or a stage."""
    return epoch_number(text) is not None or re.match(EPOCH_NAME_PATTERN, text, re.ASCII) is not None


def check_epoch(text: str) -> None:
    """Check a SOURCE_DATE_EPOCH that is not empty.

    Raises:
        ValueError: It is neither a whole number of seconds since 1970, of at most eleven digits, nor a name.
    """
    if not is_epoch(text):
        raise ValueError(
            "SOURCE_DATE_EPOCH is a whole number of seconds since 1970, the word context, or the name of "
            f"a named context or a stage, not {text[:40]!r}"
        )
