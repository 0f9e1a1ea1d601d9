"""ImageBuild as a user writes it: `kubectl apply` it, or `strake run -f` it without a cluster.

The CustomResourceDefinition is generated from these models (`crd.py`): a docstring is what
`kubectl explain` shows, a Rule what `kubectl apply` refuses. The spec names things (Secrets,
ConfigMaps, repositories); what they hold is looked at when the build starts. Its parts are in `spec`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.cache import BuildCache
from strake_api.models.document import Document, TolerantDocument
from strake_api.models.form import EPOCH_NAME_PATTERN, EPOCH_PATTERN, is_epoch
from strake_api.models.rule import Rule, cel_rules, checked, obeying
from strake_api.models.verification import Checks
from strake_api.spec.arguments import Arguments
from strake_api.spec.contexts import NamedContexts
from strake_api.spec.named import LocalReference
from strake_api.spec.output import ImageOutput
from strake_api.spec.paths import inside
from strake_api.spec.pod.pod import BuilderPod
from strake_api.spec.resources import Resources
from strake_api.spec.retention import Retention
from strake_api.spec.run_secrets import RunKeys, RunSecrets
from strake_api.spec.source import INLINE_LIMIT, Source
from strake_api.values.destinations import OF_GIT, fields_of
from strake_api.values.duration import DurationText, parse_duration
from strake_api.values.object_name import Name
from strake_api.values.platform import ARCHITECTURE_LABEL, Platforms, PlatformText

DOCKERFILE = "Dockerfile"
INLINE_DOCKERFILE: Rule[ImageBuildSpec] = Rule(
    "!has(self.source.inline) || has(self.dockerfileInline) || self.dockerfile in self.source.inline",
    "source.inline holds no file of the name that dockerfile gives: add it there, or give dockerfileInline",
    lambda spec: (
        spec.source.inline is None
        or spec.dockerfile_inline is not None
        or spec.dockerfile in spec.source.inline
    ),
)
ONE_DOCKERFILE: Rule[ImageBuildSpec] = Rule(
    f"!has(self.dockerfileInline) || self.dockerfile == '{DOCKERFILE}'",
    "dockerfile names a file of the source and dockerfileInline is one itself: drop one of the two",
    lambda spec: spec.dockerfile_inline is None or spec.dockerfile == DOCKERFILE,
)
WHOLE_SIZE: Rule[ImageBuildSpec] = Rule(
    "!has(self.dockerfileInline) || !has(self.source.inline) || self.dockerfileInline.size()"
    f" + self.source.inline.map(path, self.source.inline[path].size()).sum() <= {INLINE_LIMIT}",
    f"dockerfileInline and source.inline have at most {INLINE_LIMIT} characters together: put the files into "
    "a git repository (source.git) or a ConfigMap (source.configMap)",
    lambda spec: len(spec.dockerfile_inline or "") + spec.source.inline_size <= INLINE_LIMIT,
)
EPOCH_ARGUMENT: Rule[ImageBuildSpec] = Rule(
    "!has(self.args) || self.args.all(arg, arg.name != 'SOURCE_DATE_EPOCH' || !has(arg.value)"
    f" || arg.value == '' || arg.value.matches('{EPOCH_PATTERN}|{EPOCH_NAME_PATTERN}'))",
    "the argument SOURCE_DATE_EPOCH is a whole number of seconds since 1970, the word context, or the name "
    "of a named context or a stage",
    lambda spec: all(
        arg.name != "SOURCE_DATE_EPOCH" or not arg.value or is_epoch(arg.value) for arg in spec.args
    ),
)
INLINE_CACHE_IS_OCI: Rule[ImageBuildSpec] = Rule(
    "!has(self.cache) || !self.cache.inline || self.output.mediaTypes != 'docker'",
    "cache.inline needs output.mediaTypes oci: Docker's manifests have no place for the note",
    lambda spec: spec.cache is None or not spec.cache.inline or spec.output.media_types != "docker",
)
_HAS_GIT_FIELD = "|".join(OF_GIT)
REVISION_OF_GIT: Rule[ImageBuildSpec] = Rule(
    "has(self.source.git)"
    f" || !self.output.destinations.exists(each, each.matches('[{{]({_HAS_GIT_FIELD})[}}]'))",
    "{branch}, {revision} and {shortRevision} in a destination need source.git",
    lambda spec: (
        spec.source.git is not None
        or not any(fields_of(each) & {*OF_GIT} for each in spec.output.destinations)
    ),
)
A_BRANCH: Rule[ImageBuildSpec] = Rule(
    "!has(self.source.git) || self.source.git.ref != 'HEAD'"
    " || !self.output.destinations.exists(each, each.contains('{branch}'))",
    "{branch} in a destination is what source.git.ref says: name the branch there",
    lambda spec: (
        spec.source.git is None
        or spec.source.git.ref != "HEAD"
        or not any("branch" in fields_of(each) for each in spec.output.destinations)
    ),
)
ONE_OR_SEVERAL: Rule[ImageBuildSpec] = Rule(
    "!has(self.platform) || !has(self.platforms) || self.platforms.size() == 0",
    "platform makes an image and platforms an index: drop one of the two",
    lambda spec: spec.platform is None or not spec.platforms,
)
NODES_OF_PLATFORMS: Rule[ImageBuildSpec] = Rule(
    "!has(self.platforms) || self.platforms.size() == 0 || !has(self.pod) || !has(self.pod.nodeSelector)"
    f" || !('{ARCHITECTURE_LABEL}' in self.pod.nodeSelector)",
    f"each of platforms is built on its own nodes: drop {ARCHITECTURE_LABEL} from pod.nodeSelector",
    lambda spec: (
        not spec.platforms or spec.pod is None or ARCHITECTURE_LABEL not in (spec.pod.node_selector or {})
    ),
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


class ImageBuildSpec(Document):
    """What to build and where to push it. A change starts a new run; the operator never writes here."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            INLINE_DOCKERFILE,
            ONE_DOCKERFILE,
            WHOLE_SIZE,
            EPOCH_ARGUMENT,
            INLINE_CACHE_IS_OCI,
            REVISION_OF_GIT,
            A_BRANCH,
            ONE_OR_SEVERAL,
            NODES_OF_PLATFORMS,
        )
    )

    source: Source
    contexts: NamedContexts = ()
    """Files and images that FROM, COPY --from and RUN --mount=from= use in place of what they name."""
    dockerfile: Annotated[str, Field(min_length=1, max_length=1024), *checked(inside("dockerfile"))] = (
        DOCKERFILE
    )
    """The Dockerfile's path, relative to the source."""
    dockerfile_inline: Annotated[str, Field(min_length=1, max_length=INLINE_LIMIT)] | None = None
    """A Dockerfile in place of one in the source, of at most 262144 characters with source.inline."""
    target: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The stage to build; the last one where it is not given."""
    # Of a map the API server says in its own words that it is no array: CEL sees a field only with a type,
    # and without one pruning, merging by name and `kubectl explain` are gone.
    args: Arguments = ()
    """Values for the Dockerfile's ARGs. They show in the image's history: never put a secret here."""
    secrets: RunSecrets = ()
    """Secrets for RUN --mount=type=secret, which no layer and no history keeps."""
    ssh: RunKeys = ()
    """SSH keys for RUN --mount=type=ssh, which sees an agent and not the key."""
    platform: PlatformText | None = None
    """What the image is for, as linux/arm64; the platform of the node that builds where it is not given."""
    platforms: Platforms = ()
    """Several platforms instead: each is built by a Job on its own nodes, and the image is an index."""
    output: ImageOutput
    verify: Checks = ()
    """Programs that check the image when it is pushed by digest; its tags move if all passed."""
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
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a run may start again that failed for no fault of the build; a failing command never does."""
    queue_timeout: Annotated[DurationText, *checked(SOME_WAIT)] | None = None
    """How long a run may wait for its turn, as 30m or 6h; without an end where it is not given."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Of the namespace's builds that wait, those of a higher priority start first."""
    retention: Retention | None = None
    """What is kept of runs that ended. A change of it starts no run."""
    suspend: bool = False
    """Keep new runs from starting; one that goes on ends as it would. A change of it starts no run."""

    @property
    def runtime_class(self) -> str | None:
        """The RuntimeClass that the spec names."""
        return None if self.pod is None else self.pod.runtime_class_name

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(
            self,
            INLINE_DOCKERFILE,
            ONE_DOCKERFILE,
            WHOLE_SIZE,
            EPOCH_ARGUMENT,
            INLINE_CACHE_IS_OCI,
            REVISION_OF_GIT,
            A_BRANCH,
            ONE_OR_SEVERAL,
            NODES_OF_PLATFORMS,
        )


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
