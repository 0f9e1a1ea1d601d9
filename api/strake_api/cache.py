"""What an ImageBuild says about caches: where results of steps are kept from build to build."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, checked, obeying
from strake_api.values.duration import DurationText, parse_duration
from strake_api.values.quantity import is_quantity, parse_quantity

_REPOSITORY = r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"
_MAX_TTL_DAYS = 365
_MAX_MOUNT = 64 << 30

A_REPOSITORY: Rule[str] = Rule(
    f"self.matches('{_REPOSITORY}')",
    "cache.repository is written registry/repository, in lower case, without tag and digest",
    lambda text: re.fullmatch(_REPOSITORY, text, re.ASCII) is not None,
)
SOME_TTL: Rule[str] = Rule(
    "duration(self) > duration('0s') && duration(self) <= duration('8760h')",
    "cache.ttl must be longer than 0s and at most 8760h",
    lambda text: 0 < parse_duration(text) <= _MAX_TTL_DAYS * 24 * 3600,
)
NOT_OFF_AND_SOMEWHERE: Rule[BuildCache] = Rule(
    "self.enabled"
    " || (!has(self.repository) && !self.inline && (!has(self.images) || self.images.size() == 0))",
    "cache.enabled: false contradicts cache.repository, cache.images and cache.inline: drop it or them",
    lambda cache: cache.enabled or not (cache.repository or cache.images or cache.inline),
)

RepositoryText = Annotated[str, Field(max_length=512), *checked(A_REPOSITORY)]


SOME_SIZE: Rule[str] = Rule(
    "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))"
    " && quantity(self).compareTo(quantity('64Gi')) <= 0",
    "cache.mounts.maxSize is a size such as 500Mi or 4Gi, at most 64Gi",
    lambda text: is_quantity(text) and 0 < parse_quantity(text) <= _MAX_MOUNT,
)


class CacheMounts(Document):
    """What becomes of the content of `RUN --mount=type=cache` where the build has a cache repository."""

    enabled: bool = True
    """Keep it in the cache repository from build to build; false: every pod begins with empty mounts."""
    max_size: Annotated[str, Field(max_length=32), *checked(SOME_SIZE)] = "2Gi"
    """What the files of one mount may take; what holds more is not kept. At most 64Gi."""


class BuildCache(Document):
    """Where results of steps are kept from build to build."""

    model_config = ConfigDict(json_schema_extra=cel_rules(NOT_OFF_AND_SOMEWHERE))

    enabled: bool = True
    """False: results are neither kept nor used, not even where the cluster has a repository for them."""
    repository: RepositoryText | None = None
    """A repository that holds results of steps; written with pushSecret, which must reach it."""
    read_only: bool = False
    """Use results in the repository and put none into it: for builds that are not trusted."""
    ttl: Annotated[DurationText, *checked(SOME_TTL)] = "336h"
    """Results in the repository that are older than this are not used; at most 8760h."""
    images: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=512)], ...], Field(max_length=8)
    ] = ()
    """Images built with `inline` whose layers are used as results; read with pullSecret."""
    inline: bool = False
    """Note in the image which steps its layers are, so that a later build can name it in `images`."""
    no_cache: bool = False
    """Run every step anew; the results are kept."""
    mounts: CacheMounts = CacheMounts()
    """The content of `RUN --mount=type=cache`."""
    no_cache_filter: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=64)
    ] = ()
    """Stages whose steps run anew."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, NOT_OFF_AND_SOMEWHERE)
