"""Objects that a manifest names, in the same file or by flags."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_builder.cli.manifest_objects import ManifestObjects
from strake_builder.errors import BuildError, InvalidRequestError
from strake_builder.output.signing import Signing
from strake_builder.solve.inputs import RunInputs
from strake_oci.signatures import SignatureForm
from strake_oci.signatures.keys import SigningKey
from tests.fixtures.narrow import instance
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

FILE = ManifestObjects(
    [
        {"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "from a map"}},
        {
            "kind": "Secret",
            "metadata": {"name": "s"},
            "data": {"k": "c2VjcmV0"},
            "stringData": {"p": "plain"},
        },
        {"kind": "Secret", "metadata": {"name": "d"}, "stringData": {"ssh-privatekey": "key"}},
        {"kind": "Secret", "metadata": {"name": "broken"}, "data": {"k": "%"}},
    ]
)


def spec(**asked):
    return ImageBuildSpec.model_validate(
        {
            "source": {"inline": {"Dockerfile": "FROM scratch"}},
            "output": {"destinations": ["r.example/a:1"]},
            **asked,
        }
    )


def argument(kind: str, name: str, key: str = "k"):
    return spec(args=[{"name": "A", "valueFrom": {f"{kind}KeyRef": {"name": name, "key": key}}}])


def test_values_of_arguments():
    found = FILE.arguments(spec(args=[{"name": "A", "value": "1"}, {"name": "B"}]))
    assert [(each.name, each.value) for each in found] == [("A", "1"), ("B", "")]
    assert FILE.arguments(argument("configMap", "m"))[0].value == "from a map"
    assert FILE.arguments(argument("secret", "s"))[0].value == "secret"
    assert FILE.arguments(argument("secret", "s", "p"))[0].value == "plain"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (argument("configMap", "nowhere"), "'nowhere' is not in the file"),
        (argument("configMap", "m", "x"), "has no key x"),
        (argument("secret", "nowhere"), "'nowhere' is not in the file"),
        (argument("secret", "s", "x"), "has no key x"),
        (argument("secret", "broken"), "not in base64"),
    ],
)
def test_what_is_not_there_is_named(asked, words):
    with pytest.raises(InvalidRequestError, match=words):
        FILE.arguments(asked)


ASKED = spec(
    secrets=[{"id": "one", "secretRef": {"name": "s", "key": "k"}}], ssh=[{"secretRef": {"name": "d"}}]
)


def test_secrets_and_keys_come_from_the_file():
    found = FILE.run_inputs(ASKED, RunInputs())
    assert (found.secrets, found.ssh_keys) == ({"one": b"secret"}, {"default": (b"key",)})


def test_a_flag_goes_before_the_file():
    given = RunInputs(secrets={"one": b"mine", "more": b"x"}, ssh_sockets={"default": "/agent"})
    found = ManifestObjects([]).run_inputs(ASKED, given)
    assert (found.secrets, found.ssh_keys) == ({"one": b"mine", "more": b"x"}, {})


def test_the_flag_is_named_where_neither_gives_it():
    with pytest.raises(InvalidRequestError) as caught:
        ManifestObjects([]).run_inputs(ASKED, RunInputs())
    assert "--secret id=one,src=FILE" in str(caught.value)


def signing_file(**content: str) -> ManifestObjects:
    return ManifestObjects([{"kind": "Secret", "metadata": {"name": "key"}, "stringData": content}])


def signed(form: str = "both"):
    return spec(
        output={"destinations": ["r.example/a:1"], "sign": {"secretRef": {"name": "key"}, "form": form}}
    )


def test_a_key_to_sign_with_comes_from_a_secret_of_the_file():
    found = signing_file(**{"cosign.key": KEY.decode(), "cosign.password": PASSWORD.decode()})
    signing = found.signing(signed("bundle"), None, None)
    assert signing is not None
    assert signing.forms == (SignatureForm.BUNDLE,)
    assert instance(signing.key, SigningKey).public.pem() == PUBLIC


def test_or_from_a_flag_which_counts_before_the_form_of_the_manifest():
    given = Signing((SignatureForm.LEGACY,), SigningKey.load(KEY, PASSWORD))
    assert FILE.signing(spec(), given, "legacy") == given
    assert FILE.signing(signed("bundle"), given, None) == replace(given, forms=(SignatureForm.BUNDLE,))
    assert FILE.signing(signed("bundle"), given, "legacy") == given
    assert FILE.signing(spec(), None, None) is None


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (FILE, "the Secret 'key' is not in the file.*--sign-key FILE"),
        (signing_file(), "has no key cosign.key"),
        (signing_file(**{"cosign.key": KEY.decode()}), "it is encrypted, and there is no password"),
        (signing_file(**{"cosign.key": "nonsense"}), "no PEM file"),
    ],
)
def test_a_key_that_is_not_there_or_not_to_be_used_is_named(file, words):
    with pytest.raises(BuildError) as caught:
        file.signing(signed(), None, None)
    assert re.search(words, str(caught.value))
