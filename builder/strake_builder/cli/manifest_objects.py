"""What a manifest names and a cluster would have: ConfigMaps and Secrets that stand in the same file."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from strake_api.conversion import SIGNING_KEY, SIGNING_PASSWORD
from strake_api.requests.build import BuildArg
from strake_builder.cli.registries.signing import kms_key, loaded_signing_key, signature_forms
from strake_builder.errors import InvalidRequestError
from strake_builder.output.signing import Signing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.spec.named import KeyReference
    from strake_builder.solve.inputs import RunInputs

_PRIVATE_KEY = "ssh-privatekey"


class ManifestObjects:
    """The documents of a file, by kind and name.

    Args:
        documents: all of them.
    """

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._documents = documents

    def config_map(self, name: str) -> dict[str, str]:
        """Return the data of a ConfigMap.

        Raises:
            InvalidRequestError: it is not in the file.
        """
        found = self._find("ConfigMap", name)
        if found is None:
            raise InvalidRequestError(
                f"the ConfigMap {name!r} is not in the file",
                hint="add it as a further document, separated by ---",
            )
        return {str(key): str(value) for key, value in (found.get("data") or {}).items()}

    def arguments(self, spec: ImageBuildSpec) -> tuple[BuildArg, ...]:
        """Return the arguments of a spec with the values that they take from ConfigMaps and Secrets.

        Raises:
            InvalidRequestError: an object, or its key, is not in the file.
        """
        return tuple(
            BuildArg(name=argument.name, value=argument.value or "")
            if argument.value_from is None
            else BuildArg(name=argument.name, value=self._value(argument.value_from).decode(errors="replace"))
            for argument in spec.args
        )

    def run_inputs(self, spec: ImageBuildSpec, given: RunInputs) -> RunInputs:
        """Return what RUN is given: by flags, and by Secrets of the file for what no flag gives.

        Raises:
            InvalidRequestError: the spec names a secret or a key that neither gives.
        """
        secrets, keys = dict(given.secrets), dict(given.ssh_keys)
        for secret in spec.secrets:
            if secret.id not in secrets:
                flag = f"--secret id={secret.id},src=FILE"
                secrets[secret.id] = self._secret(secret.secret_ref.name, secret.secret_ref.key, flag)
        for key in spec.ssh:
            if key.id not in keys and key.id not in given.ssh_sockets:
                keys[key.id] = (self._secret(key.secret_ref.name, _PRIVATE_KEY, f"--ssh {key.id}"),)
        return replace(given, secrets=secrets, ssh_keys=keys)

    def signing(self, spec: ImageBuildSpec, given: Signing | None, form: str | None) -> Signing | None:
        """Return how what is pushed is signed: with the key that a flag gives, or a Secret of the file.

        Args:
            spec: of the ImageBuild.
            given: what the flags ask for.
            form: what a flag says of the form.

        Raises:
            InvalidRequestError: the spec names a key that neither gives.
            SigningError: the key cannot be used.
        """
        sign = spec.output.sign
        if sign is None:
            return given
        forms = signature_forms(form or sign.form)
        if given is not None:
            return replace(given, forms=forms)
        if sign.keyless is not None:
            raise InvalidRequestError(
                "spec.output.sign.keyless signs as the pod's ServiceAccount, and there is no pod",
                hint="give --sign-identity-token and --sigstore-config, or --sign-key",
            )
        if sign.secret_ref is None:
            return Signing(forms, kms_key(sign.kms or ""))
        name = sign.secret_ref.name
        key, password = self._secret(name, SIGNING_KEY, "--sign-key FILE"), b""
        found = self._find("Secret", name) or {}
        if any(SIGNING_PASSWORD in (found.get(field) or {}) for field in ("stringData", "data")):
            password = self._secret(name, SIGNING_PASSWORD, "")
        return Signing(forms, loaded_signing_key(key, password, f"see the Secret {name!r}"))

    def _value(self, source: Any) -> bytes:
        ref: KeyReference | None = source.config_map_key_ref
        if ref is None:
            return self._secret(source.secret_key_ref.name, source.secret_key_ref.key, "")
        data = self.config_map(ref.name)
        if ref.key not in data:
            raise InvalidRequestError(f"the ConfigMap {ref.name!r} has no key {ref.key}")
        return data[ref.key].encode()

    def _secret(self, name: str, key: str, flag: str) -> bytes:
        found = self._find("Secret", name)
        if found is None:
            hint = "add it as a further document, separated by ---" + (f", or pass {flag}" if flag else "")
            raise InvalidRequestError(f"the Secret {name!r} is not in the file", hint=hint)
        plain, encoded = found.get("stringData") or {}, found.get("data") or {}
        if key in plain:
            return str(plain[key]).encode()
        if key not in encoded:
            raise InvalidRequestError(f"the Secret {name!r} has no key {key}")
        try:
            return base64.b64decode(str(encoded[key]), validate=True)
        except binascii.Error as error:
            raise InvalidRequestError(f"{key} of the Secret {name!r} is not in base64") from error

    def _find(self, kind: str, name: str) -> dict[str, Any] | None:
        for document in self._documents:
            if document.get("kind") == kind and (document.get("metadata") or {}).get("name") == name:
                return document
        return None
