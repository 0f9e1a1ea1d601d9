"""BuildRequest: everything the builder needs to know, and no secret.

The operator mounts it from a ConfigMap; `strake run -f imagebuild.yaml` makes it from the same
manifest. Credentials are never in it, only the paths where they are mounted. Both sides validate
with this model, so that a builder of another version refuses a field it does not know instead of
building something else than what was asked for.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.form import EPOCH_ARGUMENT, check_epoch
from strake_api.models.host_alias import HostAlias
from strake_api.models.signers import SigningIdentities
from strake_api.models.verification import Checks, RequiredCheck
from strake_api.requests.output import Output
from strake_api.requests.sources import FromSources
from strake_api.values.digest import DigestText


def _no_null(value: str) -> str:
    if "\0" in value:
        raise ValueError("it contains a null character, which no environment can hold")
    return value


ARGUMENT_LIMIT = 8192
"""Characters of an argument's value."""
ArgumentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
ArgumentValue = Annotated[str, Field(max_length=ARGUMENT_LIMIT), AfterValidator(_no_null)]


class BuildArg(Document):
    """A value for an ARG of the Dockerfile. It ends up in the image's history: never a secret."""

    name: ArgumentName
    value: ArgumentValue = ""
    file: str | None = None
    """An absolute path: the file's content is the value, which the document does not hold."""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.file is not None and self.value:
            raise ValueError(f"the argument {self.name} has a value and a file: drop one of the two")
        return self


class MountedFile(Document):
    """What RUN may use under a name, in a file that the builder reads when it starts."""

    id: str
    path: str
    """An absolute path."""


class Cache(Document):
    """Where results of steps are kept from build to build, besides the builder's own directory."""

    enabled: bool = True
    """Whether results of steps are looked for and kept at all."""
    repository: str | None = None
    """A repository that holds results, written with the credentials for pushing."""
    ttl_seconds: Annotated[int, Field(gt=0)] = 14 * 24 * 3600
    """Results in the repository that are older than this are not used."""
    images: tuple[str, ...] = ()
    """Images built with `inline` whose layers are used as results."""
    inline: bool = False
    """Note in the image which steps its layers are, so that a later build can name it in `images`."""
    reads: bool = True
    """Whether results are looked for; results are kept either way."""
    writes: bool = True
    """Whether results are put into the repository."""
    mounts: bool = True
    """Whether the content of `RUN --mount=type=cache` is kept in the repository, too."""
    mount_limit: Annotated[int, Field(gt=0)] = 2 << 30
    """Bytes that the files of one such mount may have; what holds more is not kept."""
    fresh_stages: tuple[str, ...] = ()
    """Names or numbers of stages whose steps run though there is a result."""


class BaseVolume(Document):
    """A base image that the pod has mounted, for whichever FROM resolves to it."""

    manifest: DigestText
    """The digest of its manifest for the build's platform."""
    directory: str
    """An absolute path: its files, read-only."""


PublicKeys = Annotated[
    tuple[
        Annotated[
            str,
            Field(
                max_length=4096,
                pattern=r"^[ \t\r\n]*-----BEGIN PUBLIC KEY-----[ \t\r\n]"
                r"[A-Za-z0-9+/= \t\r\n]+-----END PUBLIC KEY-----[ \t\r\n]*$",
            ),
        ],
        ...,
    ],
    Field(min_length=1, max_length=8),
]


class ImageRule(Document):
    """Which images FROM, COPY --from and RUN --mount=from may name. A matter of the platform."""

    policy: str
    """The BuildPolicy that has the rule."""
    names: tuple[str, ...] | None = None
    """Patterns, of which one must fit; None where all may be named."""
    require_digest: bool = False
    """Whether an image must be named by its digest."""
    signed_by: PublicKeys | None = None
    """Public keys (PEM), one of which must have signed an image; None where none need have."""
    identities: SigningIdentities | None = None
    """Identities, one of which may have signed it in place of a key."""
    trusted_root: Annotated[str, Field(max_length=1 << 18)] | None = None
    """Who vouches for the identities; without it none of them counts."""


class BuildRequest(FromSources):
    """One build of one image, for one platform or for several."""

    kind: Literal["BuildRequest"] = "BuildRequest"
    dockerfile: str = "Dockerfile"
    """Path of the Dockerfile relative to the context."""
    dockerfile_inline: str | None = None
    """The Dockerfile's text, where the context has none of it. `dockerfile` is what messages call it then."""
    target: str | None = None
    """The stage to build; the last one where it is not given."""
    args: tuple[BuildArg, ...] = ()
    secrets: tuple[MountedFile, ...] = ()
    """For `RUN --mount=type=secret`. The document holds none of their content."""
    ssh: tuple[MountedFile, ...] = ()
    """Private keys, in OpenSSH's or PEM form and without a passphrase, for `RUN --mount=type=ssh`."""
    platform: str | None = None
    """`os/arch[/variant]`; the builder's own where it is not given. Several, with commas, make an index."""
    output: Output
    cache: Cache = Cache()
    base_volumes: tuple[BaseVolume, ...] = ()
    """Base images that need neither be pulled nor unpacked. Each must be mounted; none must be used."""
    image_rules: tuple[ImageRule, ...] = ()
    """Which images may be built on; all rules must allow one."""
    host_aliases: tuple[HostAlias, ...] = ()
    """Addresses of names, which RUN finds in /etc/hosts. No part of cache keys, as all of the network."""

    verify: Checks = ()
    """Checks of the image, which is pushed by digest then; its tags move if all passed."""
    required_checks: tuple[RequiredCheck, ...] = ()
    """Further ones. A matter of the platform: `image_rules` are not for their images."""

    @property
    def paths(self) -> dict[str, str | None]:
        """The paths in it that must be absolute, by field."""
        found = super().paths | self.output.paths
        found |= {f"args[{each.name}].file": each.file for each in self.args}
        found |= {f"secrets[{each.id}].path": each.path for each in self.secrets}
        found |= {f"ssh[{each.id}].path": each.path for each in self.ssh}
        return found | {
            f"baseVolumes[{at}].directory": each.directory for at, each in enumerate(self.base_volumes)
        }

    def epoch(self, found: int | None) -> int | None:
        """Return the time of everything that the build makes, in seconds since 1970; None is the time of day.

        An explicit time counts before SOURCE_DATE_EPOCH, as with BuildKit's exporter option, and either
        before `reproducible`, which only asks for some fixed time.

        Args:
            found: what the argument SOURCE_DATE_EPOCH is, the Dockerfile's default included.
        """
        if self.output.source_date_epoch is not None:
            return self.output.source_date_epoch
        return 0 if found is None and self.output.reproducible else found

    def with_epoch_argument(self, seconds: int | None) -> Self:
        """Return the same with the number that the build argument is; without a time it is empty."""
        value = "" if seconds is None else str(seconds)
        args = tuple(
            each.model_copy(update={"value": value}) if each.name == EPOCH_ARGUMENT else each
            for each in self.args
        )
        return self.model_copy(update={"args": args})

    @model_validator(mode="after")
    def _inline_cache_fits(self) -> Self:
        if self.cache.inline and self.output.media_types == "docker":
            raise ValueError("an inline cache needs OCI media types: Docker's manifests have no place for it")
        return self

    @model_validator(mode="after")
    def _attestations_fit(self) -> Self:
        wanted = self.output.attestations
        if wanted and wanted.form == "index" and self.output.media_types == "docker":
            raise ValueError("attestations in an index need OCI media types: use the form referrers")
        return self

    @model_validator(mode="after")
    def _one_by_digest(self) -> Self:
        if self.output.by_digest and self.platform is not None and "," in self.platform:
            raise ValueError("output.byDigest is for one platform: the index of several is what tags name")
        return self

    @model_validator(mode="after")
    def _epoch_argument(self) -> Self:
        for each in self.args:
            if each.name == EPOCH_ARGUMENT and each.value:
                check_epoch(each.value)
        return self
