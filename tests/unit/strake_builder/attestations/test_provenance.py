"""Provenance as a pure matter: facts in, a document out, and no secret in it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.attestations.facts import (
    ArtifactMaterial,
    BuildFacts,
    BuildStep,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Mode,
    Subject,
    Use,
)
from strake_builder.attestations.predicate import provenance
from strake_builder.attestations.purl import image_purl
from strake_builder.attestations.redaction import MASK, Redaction, public_url
from strake_builder.attestations.statement import statement
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference

LINUX = Platform("linux", "amd64")
IMAGE = Digest.sha256(b"image")
COMMIT = "4b220de5058abfd01ff619c9d2ff6b09a049bea0"


def facts(**given: Any) -> BuildFacts:
    moment = datetime(2026, 11, 29, 1, 2, 3, 400_000, tzinfo=UTC)
    return BuildFacts(
        **{
            "started": moment,
            "finished": moment,
            "platform": LINUX,
            "builder_platform": LINUX,
            "invocation": "i",
            **given,
        }
    )


def predicate(mode: Mode = "max", **given: Any) -> dict:
    return provenance(facts(**given), mode, Redaction())


def definition(mode: Mode = "max", **given: Any) -> dict:
    return predicate(mode, **given)["buildDefinition"]


@pytest.mark.parametrize(
    ("reference", "platform", "expected"),
    [
        ("alpine", None, "pkg:docker/alpine@latest"),
        ("user/test:v2", None, "pkg:docker/user/test@v2"),
        ("docker.io/library/busybox:1", LINUX, "pkg:docker/busybox@1?platform=linux%2Famd64"),
        (f"ghcr.io/foo/bar@{IMAGE}", None, f"pkg:docker/ghcr.io/foo/bar?digest={IMAGE}"),
        (f"a:1@{IMAGE}", LINUX, f"pkg:docker/a@1?digest={IMAGE}&platform=linux%2Famd64"),
        ("localhost:5000/x/y", None, "pkg:docker/localhost:5000/x/y@latest"),
        ("oci-layout:///home/me/Base:1", None, "pkg:oci/base@1"),
        ("oci-layout:///home/me/.b b", None, "pkg:oci/.b%20b"),
    ],
)
def test_an_image_as_a_package_url(reference, platform, expected):
    assert image_purl(reference, platform) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p@h.example:1/a?token=t#f", "https://h.example:1/a#f"),
        ("ssh://git@h/a.git", "ssh://h/a.git"),
        ("git@h.example:a/b.git", "h.example:a/b.git"),
        ("http://[::1]:8/x", "http://[::1]:8/x"),
        ("https://a@b@c/x", "https://c/x"),
        ("http://[::1/x", MASK),
    ],
)
def test_what_a_url_shows(url, expected):
    assert public_url(url) == expected


def test_a_context_in_git_is_the_configuration_and_a_dependency():
    git = GitMaterial("https://t@h.example/app.git", COMMIT, "main", "svc")
    found = definition("min", context=git, materials=(git,), dockerfile="svc/Dockerfile")
    assert found["externalParameters"]["configSource"] == {
        "uri": "https://h.example/app.git#main:svc",
        "digest": {"sha1": COMMIT},
        "path": "svc/Dockerfile",
    }
    assert found["resolvedDependencies"] == [{"uri": "https://h.example/app.git", "digest": {"sha1": COMMIT}}]


def test_dependencies_are_sorted_and_named_once():
    layer = FileMaterial("https://h.example/f?signature=x", "sha256:ab")
    images = (ImageMaterial("b:1", IMAGE, LINUX), ImageMaterial("a:1", IMAGE), ImageMaterial("a:1", IMAGE))
    artifact = ArtifactMaterial("r.example/ctx:1", IMAGE)
    found = definition(materials=(layer, *images, artifact))["resolvedDependencies"]
    assert [each["uri"] for each in found] == [
        "https://h.example/f",
        "pkg:docker/a@1",
        "pkg:docker/b@1?platform=linux%2Famd64",
        "pkg:docker/r.example/ctx@1",
    ]
    assert found[0]["digest"] == {"sha256": "ab"}


def test_min_leaves_out_what_max_has():
    given: dict[str, Any] = {
        "arguments": {"v": "1"},
        "labels": {"l": "2"},
        "target": "t",
        "contexts": {"lib": "local:lib"},
        "locals": ("context",),
        "secrets": (Use("tok"), Use("tok"), Use("must", optional=False)),
        "agents": (Use("default"),),
        "text": "FROM scratch\n",
        "steps": (BuildStep({"source": {"identifier": "local://context"}}),),
    }
    low, high = predicate("min", **given), predicate("max", **given)
    request = low["buildDefinition"]["externalParameters"]["request"]
    assert request["args"] == {"context:lib": "local:lib", "target": "t"}
    assert "secrets" not in request
    assert "ssh" not in request
    assert "buildConfig" not in low["buildDefinition"]["internalParameters"]
    assert low["runDetails"]["metadata"]["buildkit_metadata"] == {}
    assert low["runDetails"]["metadata"]["buildkit_completeness"] == {
        "request": False,
        "resolvedDependencies": False,
    }
    request = high["buildDefinition"]["externalParameters"]["request"]
    assert request["args"] == {
        "build-arg:v": "1",
        "context:lib": "local:lib",
        "label:l": "2",
        "target": "t",
    }
    assert request["secrets"] == [{"id": "must"}, {"id": "tok", "optional": True}]
    assert request["ssh"] == [{"id": "default", "optional": True}]
    assert high["runDetails"]["metadata"]["buildkit_completeness"]["request"] is True
    info = high["runDetails"]["metadata"]["buildkit_metadata"]["source"]["infos"][0]
    assert base64.b64decode(info["data"]) == b"FROM scratch\n"


def test_steps_name_what_they_need_and_what_they_made():
    made = Descriptor.of("application/vnd.oci.image.layer.v1.tar+gzip", b"layer")
    steps = (
        BuildStep({"source": {"identifier": "docker-image://a"}}, platform=LINUX, lines=(1, 1)),
        BuildStep({"exec": {"meta": {"args": ["true"]}}}, (0,), LINUX, (2, 3), (made,)),
        BuildStep({}, (1,)),
    )
    found = predicate("max", steps=steps)
    config = found["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]
    assert config[1] == {
        "id": "step1",
        "op": {
            "Op": {"exec": {"meta": {"args": ["true"]}}},
            "platform": {"Architecture": "amd64", "OS": "linux"},
        },
        "inputs": ["step0:0"],
    }
    assert config[2] == {"id": "step2", "op": {"Op": {}}, "inputs": ["step1:0"]}
    extra = found["runDetails"]["metadata"]["buildkit_metadata"]
    assert list(extra["source"]["locations"]) == ["step0", "step1"]
    assert extra["layers"] == {
        "step1:0": [[{"mediaType": made.media_type, "digest": str(made.digest), "size": made.size}]]
    }


def test_a_statement_names_each_tag_once():
    names = (Reference.parse("r.example/a:1"), Reference.parse("r.example/b:1"))
    found = json.loads(statement(Subject(IMAGE, names, LINUX), "t", {"é": "\udcff"}))
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert [each["name"] for each in found["subject"]] == [
        "pkg:docker/r.example/a@1?platform=linux%2Famd64",
        "pkg:docker/r.example/b@1?platform=linux%2Famd64",
    ]
    assert found["subject"][0]["digest"] == {"sha256": IMAGE.encoded}
    assert found["predicate"] == {"é": "�"}
    assert json.loads(statement(Subject(IMAGE, (), LINUX), "t", {}))["subject"][0]["name"] == "_"


def test_an_argument_of_a_secret_is_masked_by_name_and_by_value():
    redaction = Redaction(("hunter22", "x"), ("short", "long"))
    given = {"long": "hunter22", "short": "x", "plain": "is-hunter22", "equal": "x", "other": "xyz"}
    found = provenance(facts(arguments=given), "max", redaction)
    assert found["buildDefinition"]["externalParameters"]["request"]["args"] == {
        "build-arg:long": MASK,
        "build-arg:short": MASK,
        "build-arg:plain": f"is-{MASK}",
        "build-arg:equal": MASK,
        "build-arg:other": "xyz",
    }


def test_urls_in_the_dockerfile_and_in_commands_open_nothing():
    text = "ADD https://u:p@h/x?sig=1 /\nRUN curl -u a 'http://h/y?token=2' git@h:x\n"
    steps = (BuildStep({"exec": {"meta": {"args": ["curl https://t@h/z?q"]}}}),)
    found = predicate("max", text=text, steps=steps)
    info = found["runDetails"]["metadata"]["buildkit_metadata"]["source"]["infos"][0]
    shown = base64.b64decode(info["data"]).decode()
    assert shown == f"ADD https://{MASK}@h/x?{MASK} /\nRUN curl -u a 'http://h/y?{MASK}' git@h:x\n"
    config = found["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]
    assert config[0]["op"]["Op"]["exec"]["meta"]["args"] == [f"curl https://{MASK}@h/z?{MASK}"]


def test_proxies_are_left_out():
    given = {"HTTP_PROXY": "http://u:p@proxy:1", "no_proxy": "a", "v": "https://u:p@h/x?y=1"}
    args = definition(arguments=given)["externalParameters"]["request"]["args"]
    assert args == {"build-arg:v": "https://h/x"}


SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40).map("S3cr~".__add__)


@given(st.lists(SECRETS, min_size=1, max_size=4), st.data())
def test_no_secret_is_in_any_provenance(secrets, data):
    def hidden() -> str:
        secret = data.draw(st.sampled_from(secrets))
        before, after = data.draw(st.text("a/:@?# ", max_size=4)), data.draw(st.text("z&=\n", max_size=4))
        return data.draw(
            st.sampled_from([secret, f"{before}{secret}{after}", f"https://u:{secret}@h/p?{secret}"])
        )

    git = GitMaterial(hidden(), COMMIT, hidden(), hidden())
    given_facts = facts(
        context=git,
        dockerfile=hidden(),
        text=f"FROM a\nRUN {hidden()}\n",
        target=hidden(),
        arguments={"given": secrets[0], "http_proxy": hidden(), "other": hidden()},
        labels={"l": hidden()},
        contexts={"c": hidden()},
        materials=(git, ImageMaterial(hidden(), IMAGE), FileMaterial(hidden(), "sha256:00")),
        steps=(
            BuildStep({"exec": {"meta": {"args": ["sh", "-c", hidden()], "cwd": hidden()}}}),
            BuildStep({"file": {"actions": [{"copy": {"src": hidden(), "dest": hidden()}}]}}),
        ),
    )
    redaction = Redaction(secrets, ("given",))
    modes: tuple[Mode, ...] = ("min", "max")
    for mode in modes:
        made = provenance(given_facts, mode, redaction)
        infos = made["runDetails"]["metadata"]["buildkit_metadata"].get("source", {}).get("infos", [])
        shown = "\0".join([*texts(made), *(base64.b64decode(i["data"]).decode() for i in infos)])
        assert not [secret for secret in secrets if secret.strip() in shown]


def texts(value: object) -> list[str]:
    """Return every text in a document."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []
