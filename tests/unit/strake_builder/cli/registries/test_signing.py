"""Keys of a command: where the libraries that sign are not installed, that is told."""

from __future__ import annotations

import sys

import pytest

from strake_builder.cli.registries.signing import (
    loaded_signing_key,
    mounted_signing_key,
    read_public_key,
    signature_forms,
)
from strake_builder.errors import InvalidRequestError, SigningError, UnsupportedError
from strake_oci import signatures
from strake_oci.signatures import BOTH, SignatureForm
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC


@pytest.mark.parametrize("missing", ["nacl", "cryptography"])
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch, tmp_path, missing):
    for name in [each for each in sys.modules if each.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("keys", "key_file"):
        monkeypatch.delitem(sys.modules, f"strake_oci.signatures.{name}", raising=False)
        monkeypatch.delattr(signatures, name, raising=False)  # imported from the package without a module
    monkeypatch.setitem(sys.modules, missing, None)
    (tmp_path / "cosign.pub").write_bytes(PUBLIC)
    for use in (
        lambda: loaded_signing_key(KEY, PASSWORD),
        lambda: read_public_key(str(tmp_path / "cosign.pub")),
    ):
        with pytest.raises(UnsupportedError, match=r"not installed.*strake\[sign\]"):
            use()


def test_forms():
    assert signature_forms("both") == BOTH
    assert signature_forms("legacy") == (SignatureForm.LEGACY,)


def test_a_mounted_key_may_have_no_password(tmp_path):
    (tmp_path / "cosign.key").write_bytes(KEY)
    paths = str(tmp_path / "cosign.key"), str(tmp_path / "cosign.password")
    with pytest.raises(SigningError, match="there is no password"):
        mounted_signing_key(*paths)
    (tmp_path / "cosign.password").write_bytes(PASSWORD + b"\r\n")
    assert mounted_signing_key(*paths).public.pem() == PUBLIC
    with pytest.raises(InvalidRequestError, match="cannot read"):
        mounted_signing_key(str(tmp_path / "missing"), None)
