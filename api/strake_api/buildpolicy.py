"""BuildPolicy as a platform team writes it: what the ImageBuilds of some namespaces may ask for.

A list that is not given allows everything; an empty one allows nothing. Where several policies select a
namespace all of them hold: what one forbids is forbidden, and of two limits the lower counts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from strake_api.cache import A_REPOSITORY
from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked
from strake_api.values.duration import DurationText
from strake_api.values.quantity import is_quantity

AN_AMOUNT: Rule[str] = Rule(
    "isQuantity(self)",
    "a ceiling is a quantity with a unit of Kubernetes, in quotes: '500m', '2', '512Mi', '4Gi' (not 1GB)",
    is_quantity,
)
_FILLED = "self.replace('{namespace}', 'n')"
A_TEMPLATE: Rule[str] = Rule(
    f"self.contains('{{namespace}}') && {A_REPOSITORY.cel.replace('self', _FILLED)}",
    "defaultCacheRepository is a repository with {namespace} in it, as registry.example/cache/{namespace}: a "
    "team that can write to a cache decides what is in images built with it",
    lambda text: "{namespace}" in text and A_REPOSITORY.holds(text.replace("{namespace}", "n")),
)

Amount = Annotated[str, Field(min_length=1, max_length=32), *checked(AN_AMOUNT)]
Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=128)]
SourceKind = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9]*$", max_length=63)]
LabelText = Annotated[str, Field(max_length=317)]


class LabelRequirement(Document):
    """A condition on a label."""

    key: LabelText
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[tuple[LabelText, ...], Field(max_length=128)] = ()
    """For In and NotIn."""


class NamespaceSelector(Document):
    """Which namespaces a policy is for, as everywhere in Kubernetes. All conditions must hold."""

    match_labels: Annotated[dict[str, LabelText], Field(max_length=64)] | None = None
    """Labels that the namespace must have. Every namespace has kubernetes.io/metadata.name, its name."""
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=64)] | None = None


class AllowedSources(Document):
    """Where contexts may come from, named ones included."""

    kinds: Annotated[tuple[SourceKind, ...], Field(max_length=16)] | None = None
    """Fields of spec.source, and of spec.contexts, that may be used: git, http, oci, configMap, inline."""
    git_hosts: Patterns | None = None
    """Hosts, with their ports if any, that git repositories may be on: git.example.com, *.example.com."""


class AllowedImages(Document):
    """Which images Dockerfiles may name: in FROM, COPY --from and RUN --mount=from. FROM scratch is none."""

    names: Patterns | None = None
    """Repositories, and references if they have a tag or digest: registry.example/golden/*."""
    require_digest: bool = False
    """Whether images must be named by their digest."""


class ResourceCeilings(Document):
    """What a builder pod may ask for at most, as a request or a limit."""

    cpu: Amount | None = None
    memory: Amount | None = None
    ephemeral_storage: Amount | None = None


class BuildPolicySpec(Document):
    """What is allowed. In patterns `*` stands for any characters, and {namespace} for the build's."""

    namespace_selector: NamespaceSelector | None = None
    """The namespaces that the policy is for; all of them where it is not given."""
    destinations: Patterns | None = None
    """Repositories, and references if they have a tag, that builds may push to; also for cache.repository."""
    sources: AllowedSources | None = None
    """Where contexts may come from. What a Dockerfile fetches itself (ADD) is a matter of networks."""
    base_images: AllowedImages | None = None
    """What images may be built on. The builder checks it when it has read the Dockerfile."""
    secrets: Patterns | None = None
    """Names of Secrets that builds may name, anywhere in their spec."""
    service_accounts: Patterns | None = None
    """Names of ServiceAccounts that builds may name."""
    max_resources: ResourceCeilings | None = None
    """Ceilings. The platform's defaults are lowered to them."""
    max_timeout: DurationText | None = None
    """The longest spec.timeout."""
    max_retries: Annotated[int, Field(ge=0, le=10)] | None = None
    """The highest spec.retries."""
    max_runs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many runs of each namespace may go on at a time; the platform's limit holds, too."""
    isolation: Literal["nested"] | None = None
    """The least isolation that steps get: nested allows no chroot."""
    default_cache_repository: Annotated[str, Field(max_length=255), *checked(A_TEMPLATE)] | None = None
    """Where builds that name no cache repository keep results, in place of the platform's setting."""
