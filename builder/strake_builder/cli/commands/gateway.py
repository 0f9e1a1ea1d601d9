"""`strake gateway`: has the registries' credentials of a builder pod, so that its executor needs none."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import TYPE_CHECKING, assert_never

from strake_builder.cli.flags.request import add_request_flags
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.base import PodRequest
    from strake_api.requests.kinds import AnyRequest
    from strake_builder.gateway.log_push import LogKeeper
    from strake_builder.gateway.policy import Policy
    from strake_builder.gateway.signing import GatewaySigning
    from strake_oci.credentials.credential import CredentialSource
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.settings import ClientSettings
    from strake_oci.spec.digest import Digest

_LOG_SECONDS = 15.0
"""For the log, after the signal that the pod ends: the kubelet waits for 20 s."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_request_flags(parser)
    parser.add_argument(
        "--log-socket", metavar="SOCKET", help="where the builder's log comes, for the request's log"
    )
    parser.add_argument(
        "--log-report", metavar="FILE", help="where the digest of the pushed log goes, as JSON"
    )
    parser.set_defaults(handler=gateway)


def gateway(arguments: argparse.Namespace) -> int:
    """Serve on the request's socket until a signal comes; return the exit status."""
    from strake_builder.errors import BuildError

    try:
        _serve(arguments)
    except BuildError as error:
        sys.stderr.write(error.for_terminal() + "\n")
        return error.exit_status
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    from strake_builder.cli.registries.registry_access import requested_access
    from strake_builder.cli.request_file import read_request
    from strake_builder.cli.signals import StopSignals
    from strake_builder.gateway.forward import Forwarder
    from strake_builder.gateway.server import Gateway
    from strake_oci.credentials.sources import Credentials
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.retry import NO_RETRIES

    request = read_request(arguments)
    socket = request.registries.gateway
    if socket is None:
        raise InvalidRequestError("the request names no gateway", hint="set registries.gateway to a path")
    pull = _readable(request.registries.pull_config)
    push = _readable(request.registries.push_config)
    policy = _policy(request)
    settings, own = requested_access(request), Credentials((push, pull))
    signals = StopSignals()
    keeping = _keep_log(arguments, request, settings.without_mirrors(), own)
    with (
        RegistryClient(settings.without_mirrors(), own, NO_RETRIES) as client,
        Forwarder(settings, policy, pull, own, _signing(request, policy, client)) as forwarder,
        Gateway(socket, forwarder) as server,
    ):
        threading.Thread(target=server.serve_forever, name="gateway", daemon=True).start()
        sys.stdout.write(f"serving on {socket}\n")
        sys.stdout.flush()
        signals.wait()
        server.shutdown()
        if keeping is not None:
            keeping.finish(_LOG_SECONDS)


def _policy(request: AnyRequest) -> Policy:
    """Return what the executor may do: push nothing to resolve sources, move no tag in a build by digest."""
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.index import IndexRequest
    from strake_api.requests.sources import SourceRequest
    from strake_builder.gateway.policy import Policy

    match request:
        case SourceRequest():
            return Policy()
        case BuildRequest(output=output):
            attests, tags = output.attestations is not None, not output.by_digest
            return Policy.of(output.destinations, request.cache.repository, attests=attests, tags=tags)
        case IndexRequest():
            return Policy.of(request.output.destinations, None, attests=bool(_named_attestations(request)))
        case _:
            assert_never(request)


def _keep_log(
    arguments: argparse.Namespace, request: PodRequest, settings: ClientSettings, own: CredentialSource
) -> LogKeeper | None:
    """Begin to take the builder's log, which is pushed when the builder ends."""
    if request.log is None or arguments.log_socket is None:
        return None
    from strake_builder.gateway.log_listener import LogListener
    from strake_builder.gateway.log_push import SECONDS, LogKeeper
    from strake_oci.registry.client import RegistryClient
    from strake_oci.registry.retry import RetryPolicy

    if request.log.credentials is not None:
        own = _log_credentials(request.log.credentials)
    listener = LogListener(arguments.log_socket)
    policy = RetryPolicy(deadline=SECONDS)
    return LogKeeper(
        request.log, listener, lambda: RegistryClient(settings, own, policy), arguments.log_report
    )


def _signing(request: AnyRequest, policy: Policy, client: RegistryClient) -> GatewaySigning:
    """Return what signs for the build, with the key read: one that cannot be used the executor is told of.

    A key in a KMS is asked for when the executor asks: the executor waits for a gateway to start.
    """
    from strake_api.requests.sources import SourceRequest
    from strake_builder.cli.registries.signing import requested_key, signature_forms
    from strake_builder.errors import BuildError
    from strake_builder.gateway.signing import GatewaySigning
    from strake_builder.output.signing import signers

    sign = None if isinstance(request, SourceRequest) else request.output.sign
    if sign is None:
        return GatewaySigning(policy)
    try:
        key = requested_key(sign)
    except BuildError as error:
        return GatewaySigning(policy, problem=f"{error.message}; {error.hint}".rstrip("; "))
    images, attestations = signers(client, key, signature_forms(sign.form))
    named = _named_attestations(request)
    return GatewaySigning(policy, images, attesting=attestations, key=key, named=named)


def _named_attestations(request: AnyRequest) -> frozenset[Digest]:
    """Return the attestations of images that are to be in an index."""
    from strake_api.requests.index import IndexRequest
    from strake_oci.spec.digest import Digest

    images = request.images if isinstance(request, IndexRequest) else ()
    return frozenset(Digest.parse(each.attestation) for each in images if each.attestation is not None)


def _log_credentials(path: str) -> CredentialSource:
    """Return the credentials of the log alone. Its Secret may be missing, which then the report tells."""
    from pathlib import Path

    from strake_builder.cli.registries.registry_credentials import UnreadableCredentials

    if Path(path).exists():
        return _readable(path)
    missing = "the BuildPolicy's logSecret does not exist in this namespace, or has no key .dockerconfigjson"
    return UnreadableCredentials(missing, "create it with type kubernetes.io/dockerconfigjson")


def _readable(path: str | None) -> CredentialSource:
    """Return the credentials in a Secret; one that is no Docker config is reported with each request.

    A gateway that ends would be started again and again, and the builder would not know why.
    """
    from strake_builder.cli.registries.registry_credentials import UnreadableCredentials, mounted_credentials

    try:
        return mounted_credentials(path)
    except InvalidRequestError as error:
        return UnreadableCredentials(error.message, error.hint)
