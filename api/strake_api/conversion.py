"""From an ImageBuild's spec to the BuildRequest that carries it out, in a cluster or without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_api.cache import BuildCache
from strake_api.models.source import (
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    InlineSource,
    NamedContext,
    OCISource,
    Source,
)
from strake_api.requests.base import Registries
from strake_api.requests.build import BuildArg, BuildRequest, Cache, MountedFile
from strake_api.requests.output import SBOM, Attestations, KeylessSignature, Output, Signature, VaultLogin
from strake_api.values.attestations import DEFAULT_GENERATOR
from strake_api.values.destinations import branch_value, filled
from strake_api.values.duration import parse_duration
from strake_api.values.quantity import parse_quantity
from strake_api.values.signatures import VAULT_SCHEME

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.spec.buckets.object import BucketObject
    from strake_api.spec.contexts import NamedContext as SpecContext
    from strake_api.spec.git import GitRepository

ARGUMENTS: Final = "args"
SECRETS: Final = "secrets"
KEYS: Final = "ssh"
"""Directories of what a build is given, in each a file named after its place in the spec's list."""
SIGNING_KEY: Final = "cosign.key"
SIGNING_PASSWORD: Final = "cosign.password"  # noqa: S105 - a file's name
"""Keys of a Secret as `cosign generate-key-pair k8s://…` makes it."""
_NEVER_IN_HISTORY: Final = frozenset({"ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
"""Source: Dockerfile reference, "Predefined ARGs"."""


@dataclass(frozen=True, slots=True)
class MountedPaths:
    """Absolute paths where a builder finds what a spec names and does not hold.

    Attributes:
        config_map: The content of `source.configMap`, if there is one.
        git: The Secret `source.git.secret`, if there is one; that of a named context is in `context_secret`.
        bucket: The Secret of a source in a bucket, likewise.
        fetched: Where `strake fetch` puts a source that is fetched apart; None where it does not. A named
            context is in `context_directory`.
        signing: The Secret `output.sign.secretRef`; None where the key comes in another way.
        vault: How the pod logs in at the platform's Vault; None where there is none.
        keyless: As whom the pod signs, for `output.sign.keyless`; None where that comes in another way.
        given: What `args`, `secrets` and `ssh` take from Secrets and ConfigMaps; None where that comes in
            another way.
    """

    config_map: str
    git: str | None = None
    bucket: str | None = None
    fetched: str | None = None
    signing: str | None = None
    vault: VaultLogin | None = None
    keyless: KeylessSignature | None = None
    given: str | None = None


def build_request(
    spec: ImageBuildSpec,
    *,
    mounted: MountedPaths,
    work_directory: str,
    registries: Registries,
    cache_repository: str | None = None,
    generation: int | None = None,
    sbom_generator: str = DEFAULT_GENERATOR,
) -> BuildRequest:
    """Return the request that builds what a spec asks for.

    Args:
        spec: A validated spec.
        mounted: Where the builder finds what the spec only names.
        work_directory: Absolute path of the builder's work directory.
        registries: Paths of credentials, and how registries are reached.
        cache_repository: Where results of steps are kept if the spec names no repository and does not object.
        generation: Of the ImageBuild, which only a cluster knows.
        sbom_generator: The scanner's image where the spec asks for an SBOM and names none.
    """
    return BuildRequest(
        source=_source(spec, mounted),
        contexts=_contexts(spec, mounted),
        dockerfile=spec.dockerfile,
        dockerfile_inline=spec.dockerfile_inline,
        target=spec.target,
        args=_arguments(spec, mounted.given),
        secrets=_files([each.id for each in spec.secrets], mounted.given, SECRETS),
        ssh=_files([each.id for each in spec.ssh], mounted.given, KEYS),
        platform=",".join(spec.platforms) or spec.platform,
        output=_output(spec, mounted, generation, sbom_generator),
        registries=registries,
        verify=spec.verify,
        cache=_cache(spec.cache or BuildCache(), cache_repository),
        work_directory=work_directory,
        timeout_seconds=parse_duration(spec.timeout),
        host_aliases=(spec.pod and spec.pod.host_aliases) or (),
        warnings=tuple(_warnings(spec)),
    )


def context_secret(directory: str, number: int) -> str:
    """Return where the Secret of the named context of a number is, beside that of the build context."""
    return f"{directory}-{number}"


def fetches_apart(spec: ImageBuildSpec, found: BucketObject) -> bool:
    """Return whether an object is for `strake fetch` in a cluster: with a Secret, or the pod's own identity.

    The clouds' webhooks give the identity of a ServiceAccount that a spec names to no container of steps.
    """
    return found.secret is not None or spec.service_account_name is not None


def context_directory(fetched: str, number: int) -> str:
    """Return where `strake fetch` puts the named context of a number, inside the build context's place."""
    return f"{fetched}/context-{number}"


def _contexts(spec: ImageBuildSpec, mounted: MountedPaths) -> tuple[NamedContext, ...]:
    return tuple(_context(spec, each, n, mounted) for n, each in enumerate(spec.contexts))


def _context(spec: ImageBuildSpec, context: SpecContext, number: int, mounted: MountedPaths) -> NamedContext:
    source = None
    fetched = context_directory(mounted.fetched, number) if mounted.fetched else None
    if context.git is not None:
        secret = context_secret(mounted.git, number) if mounted.git else None
        source = Source(git=_git(context.git, secret, fetched))
    elif (found := context.in_bucket) is not None:
        secret = context_secret(mounted.bucket, number) if mounted.bucket else None
        source = Source(bucket=_bucket(found, secret, fetched if fetches_apart(spec, found) else None))
    elif context.http is not None:
        source = Source(http=HTTPSource(**dict(context.http)))
    elif context.oci is not None:
        source = Source(oci=OCISource(**dict(context.oci)))
    return NamedContext(name=context.name, source=source, image=context.image)


def _git(git: GitRepository, secret: str | None, fetched: str | None) -> GitSource:
    """Return a commit, with the paths that only one with a Secret has."""
    has_secret = git.secret is not None
    return GitSource(
        url=git.url,
        ref=git.ref,
        path=git.path,
        submodules=git.submodules,
        depth=git.depth,
        fetched=fetched if has_secret else None,
        credentials=secret if has_secret else None,
    )


def _source(spec: ImageBuildSpec, mounted: MountedPaths) -> Source:
    if spec.source.git is not None:
        return Source(git=_git(spec.source.git, mounted.git, mounted.fetched))
    if spec.source.http is not None:
        return Source(http=HTTPSource(**dict(spec.source.http)))
    if (found := spec.source.in_bucket) is not None:
        fetched = mounted.fetched if fetches_apart(spec, found) else None
        return Source(bucket=_bucket(found, mounted.bucket, fetched))
    if spec.source.oci is not None:
        return Source(oci=OCISource(**dict(spec.source.oci)))
    if spec.source.inline is not None:
        return Source(inline=InlineSource(files=spec.source.inline))
    return Source(directory=DirectorySource(path=mounted.config_map))


def _bucket(found: BucketObject, secret: str | None, fetched: str | None) -> BucketSource:
    """Return an object, with the paths that only one has which is fetched apart."""
    return BucketSource(
        url=found.url,
        endpoint=found.endpoint if found.kind == "s3" else None,
        region=found.region if found.kind == "s3" else None,
        checksum=found.checksum,
        path=found.path,
        credentials=secret if found.secret is not None and fetched is not None else None,
        fetched=fetched,
    )


def _output(spec: ImageBuildSpec, mounted: MountedPaths, generation: int | None, generator: str) -> Output:
    sign = spec.output.sign
    signature = None
    if sign is not None and sign.kms is not None:
        login = mounted.vault if sign.kms.startswith(VAULT_SCHEME) else None
        signature = Signature(kms=sign.kms, vault=login, form=sign.form)
    elif sign is not None and sign.keyless is not None:
        signature = Signature(keyless=mounted.keyless, form=sign.form) if mounted.keyless else None
    elif sign is not None and mounted.signing is not None:
        key, password = f"{mounted.signing}/{SIGNING_KEY}", f"{mounted.signing}/{SIGNING_PASSWORD}"
        signature = Signature(key=key, password=password, form=sign.form)
    destinations = _destinations(spec, generation)
    changed = {
        "destinations": destinations,
        "sign": signature,
        "attestations": _attestations(spec, generator),
    }
    return Output(**{**dict(spec.output), **changed})


def _attestations(spec: ImageBuildSpec, generator: str) -> Attestations | None:
    """Return what is attested; what a spec does not ask for fails no build at a registry that takes none."""
    asked = spec.output.attestations
    if asked is None:
        return Attestations(required=False)
    if asked.provenance == "none" and asked.sbom is None:
        return None
    sbom = None if asked.sbom is None else SBOM(generator=asked.sbom.generator or generator)
    return Attestations(provenance=asked.provenance, sbom=sbom, form=asked.form)


def _destinations(spec: ImageBuildSpec, generation: int | None) -> tuple[str, ...]:
    """Return where the image goes, with the fields filled that are known before the source is."""
    values = {} if generation is None else {"generation": str(generation)}
    if spec.source.git is not None:
        values["branch"] = branch_value(spec.source.git.ref)
    return tuple(filled(each, values) for each in spec.output.destinations)


def _arguments(spec: ImageBuildSpec, directory: str | None) -> tuple[BuildArg, ...]:
    return tuple(
        BuildArg(name=argument.name, value=argument.value or "")
        if argument.value_from is None or directory is None
        else BuildArg(name=argument.name, file=f"{directory}/{ARGUMENTS}/{number}")
        for number, argument in enumerate(spec.args)
    )


def _files(ids: list[str], directory: str | None, kind: str) -> tuple[MountedFile, ...]:
    if directory is None:
        return ()
    return tuple(MountedFile(id=each, path=f"{directory}/{kind}/{n}") for n, each in enumerate(ids))


def _warnings(spec: ImageBuildSpec) -> list[str]:
    return [
        f"args: {argument.name} comes from a Secret, and the image's history shows it to all who pull the "
        "image; name the Secret in spec.secrets and use it with RUN --mount=type=secret"
        for argument in spec.args
        if argument.value_from is not None
        and argument.value_from.secret_key_ref is not None
        and argument.name.upper() not in _NEVER_IN_HISTORY
    ]


def _cache(cache: BuildCache, default: str | None) -> Cache:
    return Cache(
        enabled=cache.enabled,
        repository=cache.repository or (default if cache.enabled else None),
        ttl_seconds=parse_duration(cache.ttl),
        images=cache.images,
        inline=cache.inline,
        reads=not cache.no_cache,
        writes=not cache.read_only,
        mounts=cache.mounts.enabled,
        mount_limit=int(parse_quantity(cache.mounts.max_size)),
        fresh_stages=cache.no_cache_filter,
    )
