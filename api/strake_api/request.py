"""BuildRequest: everything the builder needs to know, and no secret.

The operator mounts it from a ConfigMap; `strake run -f imagebuild.yaml` makes it from the same
manifest. Credentials are never in it, only the paths where they are mounted. Both sides validate
with this model, so that a builder of another version refuses a field it does not know instead of
building something else than what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from strake_api.logs.artifact import LogTarget
from strake_api.models.document import Document, ShownText
from strake_api.models.form import ImageForm, parse_epoch
from strake_api.models.host_alias import HostAlias
from strake_api.models.source import BucketSource, GitSource, NamedContext, Source
from strake_api.registries import CertificatesPEM, RegistryHost, RequestedRegistry
from strake_api.values.attestations import AttestationForm, ProvenanceMode
from strake_api.values.digest import DigestText
from strake_api.values.network import NetworkText
from strake_api.values.signatures import SignatureForm

_EPOCH_ARGUMENT = "SOURCE_DATE_EPOCH"


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


class Signature(Document):
    """With which key the image is signed before its tags move."""

    key: str
    """Path of the mounted private key, in cosign's form or in PKCS #8."""
    password: str | None = None
    """Path of the file with its password; where there is no such file, it has none."""
    form: SignatureForm = "both"


class Attestations(Document):
    """What the build attests of the image."""

    provenance: ProvenanceMode = "min"
    form: AttestationForm = "referrers"
    required: bool = True
    """False: a registry that does not take attestations is warned of, and gets the image without."""
    builder_id: Annotated[str, Field(max_length=512)] | None = None
    """URI of who builds, for `runDetails.builder.id`; Strake's own where it is not given."""


class Output(ImageForm):
    """Where the image goes, and in which form."""

    destinations: tuple[str, ...]
    """References to push to, without digests; without a tag `latest` is meant. Empty for files only.

    Tags may have the fields {revision}, {shortRevision}, {timestamp} and {date}, which the builder fills.
    """
    sign: Signature | None = None
    """Where there is a gateway, it alone reads the key."""
    attestations: Attestations | None = None
    """None are made where it is not given."""
    skip_push_permission_check: bool = False
    """Find out about missing rights when there is something to push, not before the build starts."""


class Registries(Document):
    """How to talk to registries."""

    push_config: str | None = None
    """Path of a mounted Docker config file (`config.json`) with credentials for pushing."""
    pull_config: str | None = None
    """Path of a mounted Docker config file with credentials for base images."""
    gateway: str | None = None
    """Path of the gateway's socket: then it alone reads the two files, and the builder speaks to it."""
    hosts: dict[RegistryHost, RequestedRegistry] = Field(default_factory=dict)
    """How registries are reached, by host. A matter of the platform, never of a spec."""


class Networks(Document):
    """Networks in which the builder connects to nothing, whatever leads there."""

    denied: tuple[NetworkText, ...] = ()
    """In CIDR notation; an address alone is itself."""
    allowed: tuple[NetworkText, ...] = ()
    """What of that is open again. Registries in `registries.hosts`, and their mirrors, are open anyway."""


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
    fresh_stages: tuple[str, ...] = ()
    """Names or numbers of stages whose steps run though there is a result."""


class BaseVolume(Document):
    """A base image that the pod has mounted, for whichever FROM resolves to it."""

    manifest: DigestText
    """The digest of its manifest for the build's platform."""
    directory: str
    """An absolute path: its files, read-only."""


class ImageRule(Document):
    """Which images FROM, COPY --from and RUN --mount=from may name. A matter of the platform."""

    policy: str
    """The BuildPolicy that has the rule."""
    names: tuple[str, ...] | None = None
    """Patterns, of which one must fit; None where all may be named."""
    require_digest: bool = False
    """Whether an image must be named by its digest."""


class BuildRequest(Document):
    """One build of one image, for one platform or for several."""

    api_version: Literal["strake.dev/v1alpha1"] = "strake.dev/v1alpha1"
    kind: Literal["BuildRequest"] = "BuildRequest"
    source: Source
    contexts: tuple[NamedContext, ...] = ()
    """What stands in for stages and images. Their names must differ, however they are spelled."""
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
    registries: Registries = Registries()
    networks: Networks = Networks()
    """What ADD, git, and registries that a build names must not reach. A matter of the platform."""
    ca: CertificatesPEM | None = None
    """CAs that the builder trusts besides the system's, whatever it asks: registries, git, ADD."""
    cache: Cache = Cache()
    base_volumes: tuple[BaseVolume, ...] = ()
    """Base images that need neither be pulled nor unpacked. Each must be mounted; none must be used."""
    image_rules: tuple[ImageRule, ...] = ()
    """Which images may be built on; all rules must allow one."""
    log: LogTarget | None = None
    """Where the gateway pushes the builder's log, which is not kept where it is not given."""
    host_aliases: tuple[HostAlias, ...] = ()
    """Addresses of names, which RUN finds in /etc/hosts. No part of cache keys, as all of the network."""
    warnings: tuple[ShownText, ...] = ()
    """What the maker of the request wants to be told with the result, before all other warnings."""
    work_directory: str
    """An absolute path of a directory on a file system that can hold overlay's upper directories."""
    timeout_seconds: Annotated[int, Field(gt=0)] | None = None
    """How long the build may take from the builder's start. The operator's own deadline is a little later."""

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
    def epoch(self) -> int | None:
        """The time of everything that the build makes, in seconds since 1970; None is the time of day.

        An explicit time counts before the build argument SOURCE_DATE_EPOCH, as with BuildKit's exporter
        option, and either before `reproducible`, which only asks for some fixed time.
        """
        if self.output.source_date_epoch is not None:
            return self.output.source_date_epoch
        for argument in self.args:
            if argument.name == _EPOCH_ARGUMENT and argument.value:
                return parse_epoch(argument.value)
        return 0 if self.output.reproducible else None

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
    def _epoch_argument(self) -> Self:
        assert self.epoch is None or self.epoch >= 0  # noqa: S101 - reading it is the check
        return self

    @model_validator(mode="after")
    def _absolute_paths(self) -> Self:
        paths = {
            "workDirectory": self.work_directory,
            "registries.pushConfig": self.registries.push_config,
            "registries.pullConfig": self.registries.pull_config,
            "registries.gateway": self.registries.gateway,
            "log.credentials": self.log.credentials if self.log else None,
            "output.sign.key": self.output.sign.key if self.output.sign else None,
            "output.sign.password": self.output.sign.password if self.output.sign else None,
        }
        paths |= {f"source.{name}": path for name, path in self.source.paths.items()}
        for each in self.contexts:
            paths |= {f"contexts[{each.name}].{name}": path for name, path in each.paths.items()}
        paths |= {f"args[{each.name}].file": each.file for each in self.args}
        paths |= {f"secrets[{each.id}].path": each.path for each in self.secrets}
        paths |= {f"ssh[{each.id}].path": each.path for each in self.ssh}
        paths |= {f"baseVolumes[{at}].directory": each.directory for at, each in enumerate(self.base_volumes)}
        for name, path in paths.items():
            if path is not None and not PurePosixPath(path).is_absolute():
                raise ValueError(f"{name} must be an absolute path, not {path!r}")
        return self
