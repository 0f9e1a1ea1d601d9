"""Registries that mean harm: passwords that they lead elsewhere, bytes that they swap.

What else they try is in tests/contract/test_oci_hostile.py.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strake_oci.credentials import Credential
from strake_oci.errors import OCIError
from strake_oci.http import transport
from strake_oci.registry import NO_RETRIES, session
from strake_oci.registry.auth import tokens
from strake_oci.registry.blobs import download
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from tests.faults import faults
from tests.faults.registry import FaultyRegistry

GOOD, EVIL = b"harmless" * 10, b"hostile!" * 10
BLOB = Descriptor.of(mediatype.OCI_LAYER, GOOD)


class Known:
    """Has a password for every registry."""

    def lookup(self, _repository: Any) -> Credential:
        return Credential("the test", "user", "s3cret")

    def describe(self) -> str:
        return "the test"


@dataclass
class Field:
    """A hostile registry, and whom it leads to.

    Attributes:
        registry: whose password the client has.
        thief: another server of the attacker's.
        read: what the client took for good.
    """

    registry: FaultyRegistry
    thief: FaultyRegistry
    read: bytes = b""

    @property
    def there(self) -> str:
        """The thief, as another host than the registry."""
        return f"http://{self.thief.host.replace('localhost', '127.0.0.1')}"

    @property
    def stolen(self) -> bool:
        return any("Authorization" in seen.headers for seen in self.thief.seen)


def pull(client: Any, field: Field) -> None:
    with client.open_blob(field.registry.repository(), BLOB) as blob:
        field.read = blob.read()


def push(client: Any, field: Field) -> None:
    client.push_blob(field.registry.repository(), BLOB, lambda: io.BytesIO(GOOD))


def pull_manifest(client: Any, field: Field) -> None:
    good = Descriptor.of(mediatype.OCI_MANIFEST, GOOD)
    field.read = client.manifest(field.registry.repository(), str(good.digest))[1]


def demand(exchange: Any) -> bool:
    """Ask for a password that was not sent yet."""
    if "Authorization" in exchange.headers:
        return False
    for _ in exchange.body():
        pass
    exchange.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')
    return True


@dataclass(frozen=True)
class Attack:
    """What a registry does.

    Attributes:
        prepare: how it misbehaves.
        act: what the client does.
        got: whether the attacker got what they want.
        trusting: a part of a client that asks less, in place of the real one.
    """

    prepare: Callable[[Field], None]
    act: Callable[[Any, Field], None]
    got: Callable[[Field], bool]
    trusting: tuple[Any, str, Any]


def storage_asks(field: Field) -> None:
    field.thief.add(demand)
    field.registry.add(demand, faults.redirect(f"{field.there}/bucket"))


def upload_elsewhere(field: Field) -> None:
    field.thief.add(demand)
    field.registry.add(
        demand,
        faults.status(
            202,
            method="POST",
            path="/blobs/uploads/",
            times=9,
            Location=f"{field.there}/v2/x/blobs/uploads/1",
        ),
    )


def token_server_elsewhere(field: Field) -> None:
    realm = f'Bearer realm="{field.there}/token",service="x"'
    field.registry.add(faults.status(401, method="GET", path="/v2/", times=9, WWW_Authenticate=realm))


def other_bytes(field: Field) -> None:
    field.registry.add(faults.send(EVIL, path="/blobs/sha256"))


def other_manifest(field: Field) -> None:
    field.registry.add(faults.send(EVIL, path="/manifests/", Content_Type=mediatype.OCI_MANIFEST))


ONE_ORIGIN = (session, "origin", lambda _: "one")
ATTACKS = {
    "a storage asks for the password": Attack(
        storage_asks, pull, lambda field: field.stolen, (transport, "origin", lambda _: "one")
    ),
    "an upload goes elsewhere": Attack(upload_elsewhere, push, lambda field: field.stolen, ONE_ORIGIN),
    "a token server elsewhere, in clear": Attack(
        token_server_elsewhere,
        pull,
        lambda field: field.stolen,
        (tokens, "_refuse_clear_text", lambda *_: None),
    ),
    "other bytes than the digest promises": Attack(
        other_bytes, pull, lambda field: field.read == EVIL, (download.BlobReader, "_verify", lambda _: None)
    ),
    "another manifest than the digest promises": Attack(
        other_manifest, pull_manifest, lambda field: field.read == EVIL, (Digest, "of", lambda self, _: self)
    ),
}


def succeeds(attack: Attack) -> bool:
    with FaultyRegistry() as registry, FaultyRegistry() as thief:
        field = Field(registry, thief)
        attack.prepare(field)
        with registry.client(credentials=Known(), retry=NO_RETRIES) as client, contextlib.suppress(OCIError):
            attack.act(client, field)
        return attack.got(field)


@pytest.mark.parametrize("name", ATTACKS)
def test_it_gets_nothing(name):
    assert not succeeds(ATTACKS[name])


@pytest.mark.parametrize("name", ATTACKS)
def test_it_succeeds_with_a_client_that_asks_less(name, monkeypatch):
    module, part, replacement = ATTACKS[name].trusting
    monkeypatch.setattr(module, part, replacement)
    assert succeeds(ATTACKS[name])
