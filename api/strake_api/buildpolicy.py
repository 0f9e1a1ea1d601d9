"""BuildPolicy as a platform team writes it: what the ImageBuilds of some namespaces may ask for.

A list that is not given allows everything; an empty one allows nothing. Where several policies select a
namespace all of them hold: what one forbids is forbidden, and of two limits the lower counts.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field

from strake_api.cache import A_REPOSITORY
from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked
from strake_api.models.signers import SigningIdentities, TrustedRoot
from strake_api.models.source_policy import SourcePolicy
from strake_api.models.verification import Checks
from strake_api.requests.build import PublicKeys
from strake_api.spec.named import LocalReference
from strake_api.spec.pod.placement import Labels, Toleration, label_keys
from strake_api.spec.pod.pod import LINUX_NODES
from strake_api.values.duration import DurationText
from strake_api.values.object_name import Name
from strake_api.values.quantity import is_quantity

AN_AMOUNT: Rule[str] = Rule(
    "isQuantity(self)",
    "a ceiling is a quantity with a unit of Kubernetes, in quotes: '500m', '2', '512Mi', '4Gi' (not 1GB)",
    is_quantity,
)
_FILLED = "self.replace('{namespace}', 'n')"


def _template(field: str, example: str, why: str) -> Rule[str]:
    """Return the rule of a repository that each namespace has one of."""
    return Rule(
        f"self.contains('{{namespace}}') && {A_REPOSITORY.cel.replace('self', _FILLED)}",
        f"{field} is a repository with {{namespace}} in it, as {example}: {why}",
        lambda text: "{namespace}" in text and A_REPOSITORY.holds(text.replace("{namespace}", "n")),
    )


A_CACHE_TEMPLATE: Rule[str] = _template(
    "defaultCacheRepository",
    "registry.example/cache/{namespace}",
    "a team that can write to a cache decides what is in images built with it",
)
A_LOG_TEMPLATE: Rule[str] = _template(
    "logRepository", "registry.example/logs/{namespace}", "one team's logs are not for another"
)


def _is_network(text: str) -> bool:
    """Return whether a text is a network to Kubernetes, which knows fewer forms than Python."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    address = network.network_address
    is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    return not is_mapped and re.fullmatch(r"[0-9A-Fa-f:.]+/(0|[1-9][0-9]{0,2})", text) is not None


A_NETWORK: Rule[str] = Rule("isCIDR(self)", "a network is written as 10.0.0.0/8 or fd00::/8", _is_network)

Amount = Annotated[str, Field(min_length=1, max_length=32), *checked(AN_AMOUNT)]
Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=128)]
SourceKind = Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9]*$", max_length=63)]
NetworkRange = Annotated[str, Field(max_length=64), *checked(A_NETWORK)]
NetworkRanges = Annotated[tuple[NetworkRange, ...], Field(max_length=32)]
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
    """Fields of spec.source and spec.contexts: git, http, oci, s3, gs, azure, configMap, inline."""
    git_hosts: Patterns | None = None
    """Hosts, with their ports if any, that git repositories may be on: git.example.com, *.example.com."""
    http_hosts: Patterns | None = None
    """Likewise, of http.url."""
    buckets: Patterns | None = None
    """Buckets: s3://NAME, https://ENDPOINT/NAME, gs://NAME, https://ACCOUNT.blob.core.windows.net/CONTAINER."""


class Placement(Document):
    """Where builder pods run. What pods are given they all get, besides what their spec asks for."""

    node_selector: Annotated[Labels, *checked(label_keys("placement.nodeSelector"), LINUX_NODES)] | None = (
        None
    )
    """Labels that nodes of builder pods must have; a spec can add others, and no other value."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Tolerations that builder pods are given, as for nodes that are for builds alone."""
    allowed_taints: Patterns | None = None
    """Keys of taints that a spec may tolerate; to tolerate every taint takes the pattern * itself."""
    priority_class_names: Patterns | None = None
    """PriorityClasses that a spec may name."""
    runtime_class_names: Patterns | None = None
    """RuntimeClasses that a spec may name."""
    default_priority_class_name: Name | None = None
    """Of pods whose spec names none."""
    default_runtime_class_name: Name | None = None
    """Of pods whose spec names none, in place of the platform's setting."""


class Networks(Document):
    """Networks that git, ADD, http sources and registries that a build names may be in.

    What RUN steps reach is for NetworkPolicies.
    """

    deny: NetworkRanges = ()
    """Networks that are closed, besides those of the platform's settings."""
    allow: NetworkRanges = ()
    """What of that, and of what the settings close, is open. No policy opens what another closes."""


class AllowedImages(Document):
    """Which images Dockerfiles may name: in FROM, COPY --from and RUN --mount=from. FROM scratch is none."""

    names: Patterns | None = None
    """Repositories, and references if they have a tag or digest: registry.example/golden/*."""
    require_digest: bool = False
    """Whether images must be named by their digest."""
    signed_by: PublicKeys | None = None
    """Public keys, as cosign's cosign.pub, one of which must have signed an image or its index."""
    signed_by_identities: SigningIdentities | None = None
    """Identities, one of which must have signed it, with a certificate, if no key of signedBy has."""
    trusted_root: TrustedRoot | None = None
    """Which Sigstore vouches for them: trusted_root.json. The platform's own where it is not given."""


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
    source_policy: SourcePolicy | None = None
    """BuildKit's rules for images, ADD and contexts: deny some, or have others stand for them."""
    verify: Checks = ()
    """Checks that every image must pass before its tags move, besides those that its build asks for."""
    secrets: Patterns | None = None
    """Names of Secrets that builds may name, anywhere in their spec."""
    service_accounts: Patterns | None = None
    """Names of ServiceAccounts that builds may name."""
    placement: Placement | None = None
    """Where builder pods run."""
    networks: Networks | None = None
    """Which networks are open to what builds name."""
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
    default_cache_repository: Annotated[str, Field(max_length=255), *checked(A_CACHE_TEMPLATE)] | None = None
    """Where builds that name no cache repository keep results, in place of the platform's setting."""
    default_pull_secret: LocalReference | None = None
    """The pullSecret of builds that name none: a Secret of the build's namespace."""
    log_repository: Annotated[str, Field(max_length=255), *checked(A_LOG_TEMPLATE)] | None = None
    """Where the log of each run goes when it ends, in place of the platform's setting."""
    log_secret: LocalReference | None = None
    """What opens that repository, in place of the build's pushSecret: a Secret of the build's namespace."""
