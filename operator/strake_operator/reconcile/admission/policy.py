"""What the BuildPolicies of a namespace forbid and change: pure functions of spec and policies.

All policies that select a namespace hold. One that cannot be read forbids everything, since nobody can tell
what it is to forbid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from strake_api.models.verification import RequiredCheck
from strake_api.requests.build import ImageRule
from strake_api.values.duration import parse_duration
from strake_api.values.pattern import filled, matches
from strake_api.values.quantity import parse_quantity
from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference
from strake_operator.reconcile.admission.opened import opened
from strake_operator.reconcile.admission.placed import (
    contradiction,
    listed,
    placement_violations,
    with_placement,
)
from strake_operator.settings.default_cache import RepositoryTemplate
from strake_operator.settings.environment import Ceiling
from strake_operator.settings.sigstore import trusted_root
from strake_operator.status.ending import repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from strake_api.buildpolicy import (
        AllowedImages,
        AllowedSources,
        BuildPolicySpec,
        LabelRequirement,
        NamespaceSelector,
        ResourceCeilings,
    )
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.spec.buckets.object import BucketObject
    from strake_api.spec.contexts import NamedContext
    from strake_api.spec.source import Source
    from strake_operator.settings.environment import DefaultResources, Settings

_MEASURED = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeral_storage"}


@dataclass(frozen=True, slots=True)
class Policy:
    """A BuildPolicy."""

    name: str
    spec: BuildPolicySpec | None
    """None where it cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


def selects(selector: NamespaceSelector | None, labels: Mapping[str, str]) -> bool:
    """Return whether a selector is for a namespace with these labels."""
    if selector is None:
        return True
    wanted = selector.match_labels or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for each in selector.match_expressions or ()
    )


def _holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def _fits(patterns: Iterable[str], texts: Sequence[str], namespace: str) -> bool:
    return matches((filled(each, namespace) for each in patterns), texts)


def denial(spec: ImageBuildSpec, namespace: str, policies: Iterable[Policy]) -> str | None:
    """Return what the first policy that forbids a build says: its name, the field, and what is allowed."""
    known = tuple(policies)
    for policy in known:
        if policy.spec is None:
            return f"BuildPolicy {policy.name} cannot be read, so nothing is allowed: {policy.problem}"
        for found in _violations(spec, namespace, policy.spec):
            return f"BuildPolicy {policy.name} forbids {found}"
    return contradiction(
        (each.name, each.spec.placement) for each in known if each.spec and each.spec.placement
    )


def _violations(spec: ImageBuildSpec, namespace: str, policy: BuildPolicySpec) -> Iterator[str]:
    yield from _destinations(spec, namespace, policy)
    if policy.sources is not None:
        for path, source in _named(spec):
            yield from _sources(path, source.to_dict(), namespace, policy.sources)
            yield from _bucket(path, source.in_bucket, namespace, policy.sources.buckets)
    if policy.secrets is not None:
        for path, name in secrets_of(spec.to_dict()):
            if not _fits(policy.secrets, [name], namespace):
                yield f"spec.{path}: Secret {name!r} is none of {listed(policy.secrets)}"
    account = spec.service_account_name
    allowed = policy.service_accounts
    if allowed is not None and account is not None and not _fits(allowed, [account], namespace):
        yield f"spec.serviceAccountName: {account!r} is none of {listed(allowed)}"
    if policy.max_timeout and parse_duration(spec.timeout) > parse_duration(policy.max_timeout):
        yield f"spec.timeout: {spec.timeout} is more than {policy.max_timeout}, so set it to that or less"
    if policy.max_retries is not None and spec.retries > policy.max_retries:
        yield f"spec.retries: {spec.retries} is more than {policy.max_retries}"
    yield from _resources(spec, policy)
    yield from _workspace(spec, policy)
    if policy.placement is not None:
        yield from placement_violations(spec, namespace, policy.placement)


def _named(spec: ImageBuildSpec) -> Iterator[tuple[str, Source | NamedContext]]:
    """Yield where files come from, with the fields that say so."""
    yield "source", spec.source
    for at, context in enumerate(spec.contexts):
        yield f"contexts[{at}]", context


def _destinations(spec: ImageBuildSpec, namespace: str, policy: BuildPolicySpec) -> Iterator[str]:
    if policy.destinations is None:
        return
    named = [(f"output.destinations[{at}]", each) for at, each in enumerate(spec.output.destinations)]
    if spec.cache is not None and spec.cache.repository is not None:
        named.append(("cache.repository", spec.cache.repository))
    for path, reference in named:
        if not _fits(policy.destinations, _forms(reference), namespace):
            yield f"spec.{path}: {reference!r} is none of {listed(policy.destinations)}"


def _forms(reference: str) -> list[str]:
    """Return a reference as repository, and with its tag; `app` is docker.io/library/app."""
    plain = repository(reference)
    tag = reference[len(plain) :] or ":latest"
    try:
        plain = str(Reference.parse(plain).repository)
    except OCIError:
        return [plain]
    return [plain, plain + tag]


def _sources(path: str, source: Mapping[str, Any], namespace: str, allowed: AllowedSources) -> Iterator[str]:
    """Check a source, or a named context; one that is an image is like any other that a FROM names."""
    for kind in source.keys() - {"name", "image"}:
        if allowed.kinds is not None and kind not in allowed.kinds:
            yield f"spec.{path}.{kind}: sources are {listed(allowed.kinds)}"
    for kind, hosts in (("git", allowed.git_hosts), ("http", allowed.http_hosts)):
        url = (source.get(kind) or {}).get("url")
        if hosts is not None and url is not None and not _fits(hosts, [_host(url)], namespace):
            yield f"spec.{path}.{kind}.url: host {_host(url)!r} is none of {listed(hosts)}"


def _bucket(
    path: str, found: BucketObject | None, namespace: str, allowed: Sequence[str] | None
) -> Iterator[str]:
    if found is not None and allowed is not None and not _fits(allowed, [found.bucket_url], namespace):
        yield f"spec.{path}.{found.kind}: bucket {found.bucket_url!r} is none of {listed(allowed)}"


def _host(url: str) -> str:
    """Return host and port of https://user@host:port/path, or of user@host:path.

    It ends where URLs end it (RFC 3986, 3.2), or what follows could pass for the name of another host.
    """
    rest = re.split(r"[/?#\\]", url.partition("://")[2])[0] if "://" in url else url.partition(":")[0]
    return rest.rpartition("@")[2].lower()


def secrets_of(document: Any, path: str = "", *, inside: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the Secrets that a spec names, with where: by names of fields, so that new ones count, too."""
    match document:
        case dict():
            name = document.get("name")
            if inside and isinstance(name, str):
                yield path, name
            for key, value in document.items():
                if isinstance(value, dict | list | tuple):
                    yield from secrets_of(value, f"{path}.{key}".strip("."), inside="secret" in key.lower())
        case list() | tuple():
            for at, value in enumerate(document):
                yield from secrets_of(value, f"{path}[{at}]", inside=inside)
        case _:
            return


def _resources(spec: ImageBuildSpec, policy: BuildPolicySpec) -> Iterator[str]:
    asked = spec.resources
    if policy.max_resources is None or asked is None:
        return
    for kind, amounts in (("requests", asked.requests), ("limits", asked.limits)):
        for name, amount in (amounts or {}).items():
            most = getattr(policy.max_resources, _MEASURED.get(name, ""), None)
            if most is not None and parse_quantity(amount) > parse_quantity(most):
                yield f"spec.resources.{kind}.{name}: {amount} is more than {most}"


def _workspace(spec: ImageBuildSpec, policy: BuildPolicySpec) -> Iterator[str]:
    """A workspace on a volume of its own, which no limit of the pod bounds, is disk, too."""
    asked = spec.pod.workspace if spec.pod else None
    if asked is None or asked.size_limit is None or policy.max_resources is None:
        return
    ceilings = policy.max_resources
    most = ceilings.memory if asked.medium == "Memory" else ceilings.ephemeral_storage
    if most is not None and parse_quantity(asked.size_limit) > parse_quantity(most):
        yield f"spec.pod.workspace.sizeLimit: {asked.size_limit} is more than {most}"


def effective(settings: Settings, policies: Sequence[Policy]) -> Settings:
    """Return the platform's settings as the policies of a namespace change them."""
    for policy in policies:
        if policy.spec is not None:
            settings = _changed(settings, policy, policy.spec)
    specs = [each.spec for each in policies if each.spec is not None]
    if networks := [each.networks for each in specs if each.networks is not None]:
        denied, allowed = opened(settings.denied_networks, settings.allowed_networks, networks)
        settings = replace(settings, denied_networks=denied, allowed_networks=allowed)
    placements = [each.placement for each in specs if each.placement is not None]
    if runtime_class := _first(each.default_runtime_class_name for each in placements):
        settings = replace(settings, runtime_class=runtime_class)
    if cache := _first(each.default_cache_repository for each in specs):
        settings = replace(settings, default_cache=RepositoryTemplate(cache))
    if logs := _first(each.log_repository for each in specs):
        settings = replace(settings, log_repository=RepositoryTemplate(logs))
    if pull := _first(each.default_pull_secret.name for each in specs if each.default_pull_secret):
        settings = replace(settings, default_pull_secret=pull)
    if log_secret := _first(each.log_secret.name for each in specs if each.log_secret):
        settings = replace(settings, log_secret=log_secret)
    return settings


def _changed(settings: Settings, policy: Policy, spec: BuildPolicySpec) -> Settings:
    """Return the settings with those limits of a policy that hold beside the limits of others."""
    if spec.isolation is not None:
        settings = replace(settings, isolation=spec.isolation)
    if spec.base_images is not None:
        asked = spec.base_images
        rule = ImageRule(
            policy=policy.name,
            names=asked.names,
            require_digest=asked.require_digest,
            signed_by=asked.signed_by,
            identities=asked.signed_by_identities,
            trusted_root=_trusted_root(asked, settings),
        )
        settings = replace(settings, image_rules=(*settings.image_rules, rule))
    if spec.source_policy is not None:
        settings = replace(settings, source_policies=(*settings.source_policies, spec.source_policy))
    if spec.verify:
        checks = (RequiredCheck(**dict(each), policy=policy.name) for each in spec.verify)
        settings = replace(settings, required_checks=(*settings.required_checks, *checks))
    if spec.max_resources is not None:
        ceilings = (*settings.ceilings, *_ceilings(policy.name, spec.max_resources))
        lowered = _lowered(settings.resources, policy)
        settings = replace(settings, resources=lowered, ceilings=_lowest(ceilings))
    if spec.placement is not None:
        settings = replace(settings, placement=with_placement(settings.placement, spec.placement))
    return settings


def _trusted_root(asked: AllowedImages, settings: Settings) -> str | None:
    """Return who vouches for the identities of a rule: the platform's Sigstore, if it names no other."""
    if asked.signed_by_identities is None:
        return None
    return asked.trusted_root or trusted_root(settings.sigstore) or None


def _first(texts: Iterable[str | None]) -> str | None:
    return next(filter(None, texts), None)


def _ceilings(policy: str, most: ResourceCeilings) -> Iterator[Ceiling]:
    for resource, name in _MEASURED.items():
        if (amount := getattr(most, name)) is not None:
            yield Ceiling(policy, resource, str(amount))


def _lowest(ceilings: Iterable[Ceiling]) -> tuple[Ceiling, ...]:
    """Return the lowest ceiling of each resource: all that are set hold."""
    found: dict[str, Ceiling] = {}
    for each in sorted(ceilings, key=lambda ceiling: parse_quantity(ceiling.amount)):
        found.setdefault(each.resource, each)
    return tuple(found.values())


def _lowered(resources: DefaultResources, policy: Policy) -> DefaultResources:
    changes: dict[str, str] = {}
    ceilings = policy.spec.max_resources if policy.spec else None
    for kind, most in (
        ("cpu", ceilings and ceilings.cpu),
        ("memory", ceilings and ceilings.memory),
        ("disk", ceilings and ceilings.ephemeral_storage),
    ):
        if not most:
            continue
        for part in ("request", "limit"):
            now = getattr(resources, f"{kind}_{part}")
            # Where there is no default there is one now, or a pod might take all of its node.
            is_higher = bool(now) and parse_quantity(now) > parse_quantity(most)
            if is_higher or (not now and part == "limit"):
                changes[f"{kind}_{part}"] = most
    return replace(resources, **changes)


def runs_allowed(policies: Iterable[Policy]) -> int | None:
    """Return how many runs of a namespace its policies let go on; None where they set no limit."""
    limits = (each.spec.max_runs for each in policies if each.spec is not None)
    return min((each for each in limits if each is not None), default=None)
