"""What is built from: the context and the named contexts. A SourceRequest resolves them, and builds nothing.

Of several builds for one image, one a platform, all must have the same files. So what could change meanwhile
is resolved once, ahead of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from strake_api.models.source import BucketSource, GitSource, NamedContext, Source
from strake_api.models.source_policy import SourcePolicy
from strake_api.requests.base import PodRequest


class FromSources(PodRequest):
    """A request that names sources."""

    source: Source
    contexts: tuple[NamedContext, ...] = ()
    """What stands in for stages and images. Their names must differ, however they are spelled."""
    source_policies: tuple[SourcePolicy, ...] = ()
    """What may be built from, and what stands for it: each is asked in turn. Artifacts are not."""

    @property
    def repositories(self) -> tuple[GitSource, ...]:
        """The commits that are asked for: of the context, and of named contexts."""
        return tuple(each.git for each in self._sources if each.git is not None)

    @property
    def bucket_objects(self) -> tuple[BucketSource, ...]:
        """The objects of buckets that are asked for, likewise."""
        return tuple(each.bucket for each in self._sources if each.bucket is not None)

    @property
    def _sources(self) -> Iterator[Source]:
        yield self.source
        yield from (each.source for each in self.contexts if each.source is not None)

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        found = super().paths | {f"source.{name}": path for name, path in self.source.paths.items()}
        for each in self.contexts:
            found |= {f"contexts[{each.name}].{name}": path for name, path in each.paths.items()}
        return found


class SourceRequest(FromSources):
    """To find out which commits and which content sources are now. Nothing of them is kept.

    A request of a build has the answers in `source.git.commit` with `resolved`, `source.http.checksum`,
    `source.bucket.checksum`, `source.directory.digest`, and in the digest of `source.oci.reference`.
    """

    kind: Literal["SourceRequest"] = "SourceRequest"
