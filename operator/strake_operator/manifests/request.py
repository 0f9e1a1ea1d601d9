"""The ConfigMap that carries a run's BuildRequest into its pod."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from strake_api.conversion import MountedPaths, build_request
from strake_api.logs.artifact import LogTarget
from strake_api.requests.base import Networks, Registries
from strake_api.requests.output import KeylessSignature, VaultLogin
from strake_api.values.pattern import filled
from strake_operator.isolation import PodForm
from strake_operator.manifests import paths
from strake_operator.manifests.access import requested_hosts, with_proxy_arguments
from strake_operator.manifests.bases import requested_volumes
from strake_operator.manifests.gateway import needs_gateway
from strake_operator.manifests.parts import request_of_part, spec_of_part
from strake_operator.manifests.pod.workspace import unused_workspace
from strake_operator.settings.default_cache import cache_repository
from strake_operator.settings.default_secrets import pull_secret

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.requests.build import BuildRequest, ImageRule
    from strake_api.requests.kinds import AnyRequest
    from strake_operator.manifests.objects import Manifest, RunIdentity
    from strake_operator.settings.environment import Settings


_TOKEN: Final = f"{paths.SIGNING_DIRECTORY}/{paths.SIGNING_TOKEN}"
"""Of the pod's ServiceAccount, for the one server that signs."""


def _vault(settings: Settings) -> VaultLogin | None:
    """Return how a pod logs in at the platform's Vault."""
    vault = settings.vault
    if vault is None:
        return None
    return VaultLogin(
        address=vault.address, role=vault.role, mount=vault.mount, engine=vault.engine, token=_TOKEN
    )


def request_for(
    spec: ImageBuildSpec,
    namespace: str,
    settings: Settings,
    bases: tuple[str, ...] = (),
    form: PodForm = PodForm.NESTED,
    generation: int | None = None,
) -> BuildRequest:
    """Return the request of a spec, with the paths where the pod mounts things.

    Args:
        spec: A validated spec.
        namespace: The build's.
        settings: The platform's settings.
        bases: The base images that the pod mounts.
        form: The pod's.
        generation: The build's.
    """
    has_pull_secret = pull_secret(spec, settings) is not None
    own_names = spec.pod is not None and spec.pod.resolves_names
    request = build_request(
        spec,
        mounted=MountedPaths(
            config_map=paths.CONTEXT_DIRECTORY,
            git=paths.GIT_DIRECTORY,
            bucket=paths.BUCKET_DIRECTORY,
            fetched=paths.SOURCE_DIRECTORY,
            signing=paths.SIGNING_DIRECTORY,
            given=paths.GIVEN_DIRECTORY,
            vault=_vault(settings),
            keyless=KeylessSignature(config=settings.sigstore, token=_TOKEN),
        ),
        work_directory=paths.WORK_DIRECTORY,
        generation=generation,
        sbom_generator=settings.sbom_generator,
        cache_repository=cache_repository(spec, namespace, settings.default_cache),
        registries=Registries(
            push_config=f"{paths.PUSH_DIRECTORY}/{paths.DOCKER_CONFIG_FILE}" if spec.push_secret else None,
            pull_config=f"{paths.PULL_DIRECTORY}/{paths.DOCKER_CONFIG_FILE}" if has_pull_secret else None,
            gateway=paths.GATEWAY_SOCKET if needs_gateway(spec, settings) else None,
            hosts=requested_hosts(settings.registries, own_names=own_names),
        ),
    )
    args = with_proxy_arguments(request.args, settings.registries.proxy)
    return request.model_copy(
        update={
            "args": args,
            "ca": settings.registries.ca,
            "networks": Networks(denied=settings.denied_networks, allowed=settings.allowed_networks),
            "image_rules": tuple(_filled(each, namespace) for each in settings.image_rules),
            "source_policies": settings.source_policies,
            "required_checks": settings.required_checks,
            "base_volumes": requested_volumes(bases),
            "warnings": (*request.warnings, *unused_workspace(spec, form)),
        }
    )


def _filled(rule: ImageRule, namespace: str) -> ImageRule:
    names = None if rule.names is None else tuple(filled(each, namespace) for each in rule.names)
    return rule.model_copy(update={"names": names})


def request_digest(request: AnyRequest) -> str:
    """Return the digest of a request as its ConfigMap carries it."""
    return f"sha256:{hashlib.sha256(request.to_json().encode()).hexdigest()}"


def request_of_run(run: RunIdentity, spec: ImageBuildSpec, settings: Settings) -> AnyRequest:
    """Return the request that a run's ConfigMap carries, and whose digest its Job names."""
    spec = spec_of_part(spec, run.part)
    request = request_for(spec, run.namespace, settings, run.bases, run.form, run.generation)
    request = request.model_copy(update={"log": _log_target(run, settings)})
    return request if run.part is None else request_of_part(request, spec, run.part)


def _log_target(run: RunIdentity, settings: Settings) -> LogTarget | None:
    """Return where a run's log goes: under the name of its Job, which is a tag and no other run's."""
    if settings.log_repository is None:
        return None
    return LogTarget(
        repository=settings.log_repository.repository(run.namespace),
        tag=run.job,
        credentials=f"{paths.LOG_ACCOUNT_DIRECTORY}/{paths.DOCKER_CONFIG_FILE}"
        if settings.log_secret
        else None,
        namespace=run.namespace,
        build=run.build,
        run=run.number,
        attempt=run.attempt,
    )


def request_config_map(run: RunIdentity, spec: ImageBuildSpec, settings: Settings) -> Manifest:
    """Return the ConfigMap. It is immutable: a run never changes what it builds."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": run.metadata(),
        "immutable": True,
        "data": {paths.REQUEST_FILE: request_of_run(run, spec, settings).to_json()},
    }
