"""What a build is given from Secrets and ConfigMaps besides credentials: arguments, RUN's secrets and keys.

All of it is one projected volume of the builder's container, in memory and for its root alone. The request
names the files; no document holds their content, and the operator never reads it.

Source: Kubernetes, "Projected Volumes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.conversion import ARGUMENTS, KEYS, SECRETS
from strake_operator.manifests import paths

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest

_VOLUME: Final = "given"
_PRIVATE_KEY: Final = "ssh-privatekey"
"""Of a Secret of type kubernetes.io/ssh-auth."""


def given_volumes(spec: ImageBuildSpec) -> tuple[list[Manifest], list[Manifest]]:
    """Return the volume and the builder's mount of it; none where the build is given nothing."""
    sources = [
        *_arguments(spec),
        *(
            _projected("secret", each.secret_ref.name, each.secret_ref.key, f"{SECRETS}/{number}")
            for number, each in enumerate(spec.secrets)
        ),
        *(
            _projected("secret", each.secret_ref.name, _PRIVATE_KEY, f"{KEYS}/{number}")
            for number, each in enumerate(spec.ssh)
        ),
    ]
    if not sources:
        return [], []
    volume = {"name": _VOLUME, "projected": {"defaultMode": 0o400, "sources": sources}}
    return [volume], [{"name": _VOLUME, "mountPath": paths.GIVEN_DIRECTORY, "readOnly": True}]


def _arguments(spec: ImageBuildSpec) -> list[Manifest]:
    found = []
    for number, argument in enumerate(spec.args):
        if (source := argument.value_from) is None:
            continue
        path = f"{ARGUMENTS}/{number}"
        if source.config_map_key_ref is not None:
            ref = source.config_map_key_ref
            found.append(_projected("configMap", ref.name, ref.key, path))
        if source.secret_key_ref is not None:
            found.append(_projected("secret", source.secret_key_ref.name, source.secret_key_ref.key, path))
    return found


def _projected(kind: str, name: str, key: str, path: str) -> Manifest:
    return {kind: {"name": name, "items": [{"key": key, "path": path}]}}
