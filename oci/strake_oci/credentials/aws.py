"""Amazon ECR: a password for twelve hours, from the role of the pod or of the instance.

The official botocore finds the role (IRSA, EKS pod identity, instance metadata, the usual files and
variables). It is the optional extra `aws`, imported when the first ECR registry is asked for.
"""

from __future__ import annotations

import base64
import re
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from strake_oci.credentials.credential import Credential
from strake_oci.errors import CredentialError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from strake_oci.spec.reference import Repository

_PRIVATE: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)",
    re.ASCII,
)
_PUBLIC: Final = "public.ecr.aws"
_PUBLIC_REGION: Final = "us-east-1"
_EARLY: Final = 600.0


@dataclass(frozen=True, slots=True)
class ECRCredentials:
    """Credentials for Amazon's registries. Thread-safe.

    Public images are pulled without credentials where there is no role: a failure is an error for private
    registries only.
    """

    _known: TTLCache[str, Credential | None] = field(default_factory=TTLCache, repr=False)

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the password for an ECR registry; None for any other registry.

        Raises:
            CredentialError: The extra `aws` is not installed, there is no role, or AWS refused.
        """
        registry = repository.registry
        private = _PRIVATE.fullmatch(registry)
        if private:
            return self._known.get(
                registry, lambda: _private(registry, private["account"], private["region"])
            )
        if registry == _PUBLIC:
            return self._known.get(registry, _public)
        return None

    def describe(self) -> str:
        """Return what is asked."""
        return "AWS (role of the pod or instance)"


def _private(registry: str, account: str, region: str) -> tuple[Credential | None, float]:
    answer = _ask("ecr", region, registry, registryIds=[account])
    entries = answer.get("authorizationData") or [{}]
    return _credential(entries[0], f"AWS ECR in {region}")


def _public() -> tuple[Credential | None, float]:
    try:
        answer = _ask("ecr-public", _PUBLIC_REGION, _PUBLIC)
    except CredentialError:
        return None, _EARLY
    return _credential(answer.get("authorizationData") or {}, "AWS ECR Public")


def _ask(service: str, region: str, registry: str, **parameters: Any) -> dict[str, Any]:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import get_session
    except ImportError as error:
        raise CredentialError(
            f"{registry} needs the role of the pod, and botocore is not installed", hint="install strake[aws]"
        ) from error
    try:
        client = get_session().create_client(service, region_name=region)
        answer: dict[str, Any] = client.get_authorization_token(**parameters)
    except (BotoCoreError, ClientError) as error:
        raise CredentialError(
            f"no credentials for {registry} from AWS: {error}",
            hint="give the service account a role that allows ecr:GetAuthorizationToken",
        ) from error
    return answer


def _credential(entry: dict[str, Any], source: str) -> tuple[Credential, float]:
    try:
        username, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
        expires: datetime = entry["expiresAt"]
    except (KeyError, ValueError) as error:
        raise CredentialError(f"{source} sent no authorization token") from error
    lifetime = (expires - datetime.now(UTC)).total_seconds()
    return Credential(source, username, password), lifetime - _EARLY
