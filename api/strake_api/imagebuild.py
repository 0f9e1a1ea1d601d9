"""ImageBuild as a user writes it: `kubectl apply` it, or `strake run -f` it without a cluster.

The CustomResourceDefinition is generated from these models (`crd.py`): a docstring is what
`kubectl explain` shows, a Rule what `kubectl apply` refuses. The spec names things (Secrets,
ConfigMaps, repositories); what they hold is looked at when the build starts.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from strake_api.cache import BuildCache
from strake_api.models.document import Document, TolerantDocument
from strake_api.models.form import EPOCH_PATTERN, ImageForm
from strake_api.models.rule import Rule, cel_rules, checked
from strake_api.pod import BuilderPod
from strake_api.request import BuildArg
from strake_api.values.duration import DurationText, parse_duration
from strake_api.values.object_name import Name
from strake_api.values.platform import PlatformText
from strake_api.values.quantity import is_quantity, parse_quantity

INLINE_LIMIT = 262144
"""Characters of an inline context: with what JSON adds it fits into the ConfigMap that carries it."""
MEASURED = ("cpu", "memory", "ephemeral-storage")


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def _inside(field: str) -> Rule[str]:
    return Rule(
        "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
        f"{field} is relative to the source and cannot leave it: drop the leading '/' and any '..'",
        _is_inside,
    )


NO_CREDENTIALS: Rule[str] = Rule(
    "!self.contains('://') || !self.split('://')[1].split('/')[0].contains('@')",
    "git.url must not carry a user name or password, which everyone who may read the ImageBuild would see: "
    "name a Secret in git.secret",
    lambda url: "@" not in url.partition("://")[2].partition("/")[0],
)
_URL = r"^(https?|git)://[^\s/]+/\S*$"
A_GIT_URL: Rule[str] = Rule(
    "self.matches('^(https?|git)://[^\\\\s/]+/[^\\\\s]*$')",
    "git.url is written https://HOST/PATH (http and git are possible, too); SSH is not supported: use https, "
    "with git.secret for a private repository",
    lambda url: re.fullmatch(_URL, url) is not None,
)
SECRET_OVER_HTTPS: Rule[GitRepository] = Rule(
    "!has(self.secret) || self.url.startsWith('https://')",
    "git.secret needs an https URL: over any other the password could be read on its way",
    lambda git: git.secret is None or git.url.startswith("https://"),
)
NO_DIGEST: Rule[str] = Rule(
    "!self.contains('@')",
    "a destination names where the image goes and cannot hold a digest: write registry/repository:tag",
    lambda destination: "@" not in destination,
)
_REFERENCE = (
    r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"
)
_TAG_WITH_SLASH = "(^|/)[^/:]+:[^/]*[^0-9/][^/]*/"
A_REFERENCE: Rule[str] = Rule(
    f"self.contains('@') || self.contains('://') || self.matches('{_TAG_WITH_SLASH}')"
    f" || self.matches('{_REFERENCE}')",
    "a destination is written registry/repository:tag, the repository in lower case",
    lambda destination: re.fullmatch(_REFERENCE, destination, re.ASCII) is not None,
)
NO_SCHEME: Rule[str] = Rule(
    "!self.contains('://')",
    "a destination is no URL: drop the scheme and write registry/repository:tag",
    lambda destination: "://" not in destination,
)
NO_SLASH_IN_TAG: Rule[str] = Rule(
    f"self.contains('://') || !self.matches('{_TAG_WITH_SLASH}')",
    "a tag cannot hold a '/', as names of branches do: write registry/repository:feature-x for feature/x",
    lambda destination: re.search(_TAG_WITH_SLASH, destination, re.ASCII) is None,
)
ONE_SOURCE: Rule[Source] = Rule(
    "[has(self.git), has(self.configMap), has(self.inline)].filter(given, given).size() == 1",
    "source needs exactly one of git, configMap or inline",
    lambda source: [source.git, source.config_map, source.inline].count(None) == 2,  # noqa: PLR2004 - 1 of 3
)
INLINE_PATHS: Rule[Source] = Rule(
    "!has(self.inline) || self.inline.all(path, path.size() > 0 && !path.startsWith('/')"
    " && !path.matches('(^|/)[.][.]?(/|$)|//|/$'))",
    "each key of source.inline is the relative path of a file, without '.', '..' or empty parts",
    lambda source: all(
        all(part not in {"", ".", ".."} for part in path.split("/")) for path in source.inline or {}
    ),
)
INLINE_SIZE: Rule[Source] = Rule(
    "!has(self.inline) || self.inline.map(path, self.inline[path].size()).sum() <= 262144",
    "source.inline is for small contexts, of at most 262144 characters together: put a larger one into a git "
    "repository (source.git) or a ConfigMap (source.configMap, up to 1 MiB)",
    lambda source: sum(map(len, (source.inline or {}).values())) <= INLINE_LIMIT,
)
A_QUANTITY: Rule[str | int] = Rule(
    "type(self) == string ? isQuantity(self) : self >= 0",
    "a quantity is a number with a unit of Kubernetes: 500m, 2, 512Mi, 4Gi (not 1GB)",
    is_quantity,
)
RESOURCE_NAMES: Rule[Resources] = Rule(
    "[has(self.requests) ? self.requests.map(name, name) : [],"
    " has(self.limits) ? self.limits.map(name, name) : []].all(names,"
    " names.all(name, name in ['cpu', 'memory', 'ephemeral-storage']"
    " || name.contains('/') || name.startsWith('hugepages-')))",
    "resources are cpu, memory, ephemeral-storage, hugepages-SIZE or extended ones as example.com/gpu",
    lambda resources: all(
        name in MEASURED or "/" in name or name.startswith("hugepages-")
        for name in {**(resources.requests or {}), **(resources.limits or {})}
    ),
)
REQUESTS_FIT: Rule[Resources] = Rule(
    "!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(name,"
    " !(name in self.requests) || !(name in self.limits)"
    " || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name]))"
    " || quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
    "resources.requests must not be more than resources.limits",
    lambda resources: all(
        parse_quantity(amount) <= parse_quantity((resources.limits or {}).get(name, amount))
        for name, amount in (resources.requests or {}).items()
        if name in MEASURED
    ),
)
INLINE_DOCKERFILE: Rule[ImageBuildSpec] = Rule(
    "!has(self.source.inline) || self.dockerfile in self.source.inline",
    "source.inline holds no file of the name that dockerfile gives: add it there",
    lambda spec: spec.source.inline is None or spec.dockerfile in spec.source.inline,
)
EPOCH_ARGUMENT: Rule[ImageBuildSpec] = Rule(
    "!has(self.args) || self.args.all(arg, arg.name != 'SOURCE_DATE_EPOCH' || arg.value == ''"
    f" || arg.value.matches('{EPOCH_PATTERN}'))",
    "the argument SOURCE_DATE_EPOCH is a whole number of seconds since 1970",
    lambda spec: all(
        arg.name != "SOURCE_DATE_EPOCH" or not arg.value or re.fullmatch(EPOCH_PATTERN, arg.value, re.ASCII)
        for arg in spec.args
    ),
)
INLINE_CACHE_IS_OCI: Rule[ImageBuildSpec] = Rule(
    "!has(self.cache) || !self.cache.inline || self.output.mediaTypes != 'docker'",
    "cache.inline needs output.mediaTypes oci: Docker's manifests have no place for the note",
    lambda spec: spec.cache is None or not spec.cache.inline or spec.output.media_types != "docker",
)
SOME_TIME: Rule[str] = Rule(
    "duration(self) > duration('0s') && duration(self) <= duration('24h')",
    "timeout must be longer than 0s and at most 24h",
    lambda text: 0 < parse_duration(text) <= 24 * 3600,
)
SOME_WAIT: Rule[str] = Rule(
    "duration(self) > duration('0s')",
    "queueTimeout must be longer than 0s",
    lambda text: parse_duration(text) > 0,
)

Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **cel_rules(A_QUANTITY),
        }
    ),
    AfterValidator(A_QUANTITY.check),
]


class LocalReference(Document):
    """An object of the same namespace."""

    name: Name


class GitRepository(Document):
    """A commit of a git repository."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SECRET_OVER_HTTPS))

    url: Annotated[str, Field(max_length=2048), *checked(A_GIT_URL, NO_CREDENTIALS)]
    """Where to clone from: https, http or git."""
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/+@#-]*$", max_length=255)] = "HEAD"
    """A branch, a tag or a full commit hash."""
    path: Annotated[str, Field(max_length=1024), *checked(_inside("git.path"))] = "."
    """The directory of the repository that is the build context."""
    secret: LocalReference | None = None
    """A Secret of type kubernetes.io/basic-auth, whose key `host` names the server; a token is a password."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return SECRET_OVER_HTTPS.check(self)  # type: ignore[return-value]  # it returns self


class Source(Document):
    """Where the build context comes from: exactly one of git, configMap or inline."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_SOURCE, INLINE_PATHS, INLINE_SIZE))

    git: GitRepository | None = None
    config_map: LocalReference | None = None
    """A ConfigMap of the same namespace: each key becomes a file."""
    inline: (
        Annotated[
            dict[str, Annotated[str, Field(max_length=INLINE_LIMIT)]], Field(min_length=1, max_length=64)
        ]
        | None
    ) = None
    """A whole small context, of at most 262144 characters: path → content. For more use git or configMap."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        for rule in (ONE_SOURCE, INLINE_PATHS, INLINE_SIZE):
            rule.check(self)
        return self


class ImageOutput(ImageForm):
    """Where the image goes, and in which form."""

    destinations: Annotated[
        tuple[
            Annotated[
                str,
                Field(max_length=512),
                *checked(NO_DIGEST, NO_SCHEME, NO_SLASH_IN_TAG, A_REFERENCE),
            ],
            ...,
        ],
        Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """References to push to, as `registry/repository:tag`. Without a tag, `latest` is meant."""


class Resources(Document):
    """Compute resources of the builder pod, as in a container."""

    model_config = ConfigDict(json_schema_extra=cel_rules(RESOURCE_NAMES, REQUESTS_FIT))

    requests: Annotated[dict[str, Quantity], Field(max_length=15)] | None = None
    limits: Annotated[dict[str, Quantity], Field(max_length=15)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return REQUESTS_FIT.check(RESOURCE_NAMES.check(self))  # type: ignore[return-value]  # it returns self


class ImageBuildSpec(Document):
    """What to build and where to push it. A change starts a new run; the operator never writes here."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(INLINE_DOCKERFILE, EPOCH_ARGUMENT, INLINE_CACHE_IS_OCI)
    )

    source: Source
    dockerfile: Annotated[str, Field(min_length=1, max_length=1024), *checked(_inside("dockerfile"))] = (
        "Dockerfile"
    )
    """The Dockerfile's path, relative to the source."""
    target: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The stage to build; the last one where it is not given."""
    # Of a map the API server says in its own words that it is no array: CEL sees a field only with a type,
    # and without one pruning, merging by name and `kubectl explain` are gone.
    args: Annotated[
        tuple[BuildArg, ...],
        Field(
            max_length=128,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Values for the Dockerfile's ARGs. They show in the image's history: never put a secret here."""
    platform: PlatformText | None = None
    """What the image is for, as linux/arm64; the platform of the node that builds where it is not given."""
    output: ImageOutput
    cache: BuildCache | None = None
    push_secret: LocalReference | None = None
    """A Secret of type kubernetes.io/dockerconfigjson, used for pushing."""
    pull_secret: LocalReference | None = None
    """A Secret of type kubernetes.io/dockerconfigjson, used for base images."""
    service_account_name: Name | None = None
    """A ServiceAccount of the same namespace: its identity in a cloud opens the cloud's registries."""
    resources: Resources | None = None
    pod: BuilderPod | None = None
    timeout: Annotated[DurationText, *checked(SOME_TIME)] = "1h"
    """How long the build may take, as 90s, 15m or 1h30m; at most 24h."""
    queue_timeout: Annotated[DurationText, *checked(SOME_WAIT)] | None = None
    """How long a run may wait for its turn, as 30m or 6h; without an end where it is not given."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Of the namespace's builds that wait, those of a higher priority start first."""
    suspend: bool = False
    """Keep new runs from starting; one that goes on ends as it would. A change of it starts no run."""

    @property
    def runtime_class(self) -> str | None:
        """The RuntimeClass that the spec names."""
        return None if self.pod is None else self.pod.runtime_class_name

    @model_validator(mode="after")
    def _rules(self) -> Self:
        for rule in (INLINE_DOCKERFILE, EPOCH_ARGUMENT, INLINE_CACHE_IS_OCI):
            rule.check(self)
        return self


class Metadata(TolerantDocument):
    """The part of an object's metadata that matters without a cluster."""

    name: Name
    namespace: str | None = None


class ImageBuild(TolerantDocument):
    """A whole manifest, as `strake run -f` reads it. What a cluster added (status) is skipped."""

    api_version: Literal["strake.dev/v1alpha1"]
    kind: Literal["ImageBuild"]
    metadata: Metadata
    spec: ImageBuildSpec
