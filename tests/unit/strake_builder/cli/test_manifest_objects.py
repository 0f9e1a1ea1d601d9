"""Objects that a manifest names, in the same file or by flags."""

from __future__ import annotations

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_builder.cli.manifest_objects import ManifestObjects
from strake_builder.errors import InvalidRequestError
from strake_builder.solve.inputs import RunInputs

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
