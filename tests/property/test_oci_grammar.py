"""Properties of everything in strake_oci that reads text, against other implementations where there are any."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request

from hypothesis import given, settings
from hypothesis import strategies as st

from strake_oci.errors import OCIError
from strake_oci.registry.auth.challenge import Scope, merge_scopes, parse_challenges, parse_scopes
from strake_oci.registry.retry import parse_retry_after
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import History, ImageConfig, RuntimeConfig
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform, acceptable, choose
from strake_oci.spec.reference import Reference, Repository

component = st.from_regex(r"[a-z0-9]{1,8}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
paths = st.lists(component, min_size=1, max_size=4).map("/".join)
hosts = st.from_regex(
    r"[a-zA-Z0-9]{1,10}(?:\.[a-z0-9]{1,5}){1,3}(?::[0-9]{1,5})?|localhost(?::[0-9]{1,5})?", fullmatch=True
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digests = st.binary(max_size=4).map(Digest.sha256)
references = st.builds(Reference, st.builds(Repository, hosts, paths), st.none() | tags, st.none() | digests)
words = st.text(st.characters(codec="utf-8"), max_size=12)
maps = st.dictionaries(words, words, max_size=3)
descriptors = st.builds(
    Descriptor,
    st.sampled_from([mediatype.OCI_LAYER_GZIP, "application/x-any"]),
    digests,
    st.integers(0, 2**63 - 1),
    st.lists(words, max_size=2).map(tuple),
    maps,
    st.none() | st.builds(Platform, st.just("linux"), st.sampled_from(["amd64", "arm64"]), words),
)
strings = st.lists(words, max_size=3).map(tuple)
configs = st.builds(
    RuntimeConfig,
    user=words,
    env=strings,
    entrypoint=st.none() | strings,
    cmd=st.none() | strings,
    working_dir=words,
    labels=maps,
    volumes=st.frozensets(words, max_size=3).map(sorted).map(tuple),
    on_build=strings,
)
images = st.builds(
    ImageConfig,
    st.just(Platform("linux", "arm", "v7")),
    configs,
    st.lists(digests, max_size=3).map(tuple),
    st.lists(st.builds(History, created_by=words, empty_layer=st.booleans()), max_size=3).map(tuple),
)


@given(references)
def test_references_survive_being_written(reference):
    assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=80) | st.from_regex(r"[a-zA-Z0-9./:@_-]{0,60}", fullmatch=True))
def test_any_text_is_a_reference_or_an_error(text):
    try:
        reference = Reference.parse(text)
    except OCIError:
        pass
    else:
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
        assert ".." not in reference.repository.path.split("/")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.from_regex(r"[a-zA-Z0-9./:@_-]{1,30}", fullmatch=True) | references.map(str),
        min_size=8,
        max_size=8,
    )
)
def test_skopeo_agrees_on_what_a_reference_is(texts):
    """skopeo parses with distribution's own code; a bad reference fails before anything is asked."""
    for text in texts:
        first = text.partition("/")[0]
        if first != first.lower():  # a host by today's rules, which are newer than Debian's skopeo
            continue
        done = subprocess.run(
            ["skopeo", "--command-timeout=50ms", "inspect", "--tls-verify=false", f"docker://{text}"],
            capture_output=True,
            text=True,
            env={
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "HTTP_PROXY": "http://127.0.0.1:9",
                "HOME": "/nonexistent",
            },
        )
        # What it takes for a reference it tries to reach, and cannot.
        theirs = not any(sign in done.stderr for sign in ("pinging", "proxyconnect", "deadline exceeded"))
        try:
            reference = Reference.parse(text)
            # containers/image does not allow both at once
            ours = bool(reference.tag and reference.digest)
        except OCIError:
            ours = True
        assert ours == theirs, (text, done.stderr)


@given(st.text(max_size=100))
def test_any_text_is_a_digest_or_an_error(text):
    with contextlib.suppress(OCIError):
        assert str(Digest.parse(text)) == text


@given(st.text(max_size=40))
def test_normal_platforms_stay_so(text):
    try:
        platform = Platform.parse(text)
    except OCIError:
        return
    assert platform.normalized() == platform
    assert acceptable(platform)[0] == platform
    assert choose(platform, [(platform, "it")]) == "it"


@given(st.builds(Manifest, descriptors, st.lists(descriptors, max_size=3).map(tuple), annotations=maps))
def test_manifests_survive_being_written(manifest):
    assert parse(manifest.serialize()) == manifest


@given(st.builds(Index, st.lists(descriptors, max_size=3).map(tuple), annotations=maps))
def test_indexes_survive_being_written(index):
    assert parse(index.serialize(), mediatype.OCI_INDEX) == index


@given(images)
def test_image_configs_survive_being_written(image):
    assert ImageConfig.parse(image.serialize()) == image


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "rootfs",
        "history",
        "os",
    ]
)


@given(st.dictionaries(keys, json_values, max_size=6) | json_values)
def test_any_json_is_a_document_or_an_error(value):
    data = json.dumps(value).encode()
    for read in (parse, ImageConfig.parse):
        try:
            document = read(data)
        except OCIError:
            continue
        assert read(document.serialize()) == document


tokens = st.from_regex(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,8}", fullmatch=True)
quoted = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(
    st.lists(
        st.tuples(tokens, st.dictionaries(tokens.map(str.lower), quoted, min_size=1, max_size=3)), max_size=3
    )
)
def test_challenges_are_read_as_urllib_reads_them(challenges):
    def quote(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ",".join(f"{name}={quote(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    read = parse_challenges([header])
    assert [(one.scheme, dict(one.parameters)) for one in read] == [(s.lower(), p) for s, p in challenges]
    for scheme, parameters in challenges:
        if all("\\" not in value and '"' not in value for value in parameters.values()):
            alone = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
            expected = urllib.request.parse_keqv_list(urllib.request.parse_http_list(alone))
            assert dict(parse_challenges([f"{scheme} {alone}"])[0].parameters) == expected


@given(st.text(max_size=200))
def test_any_header_is_read(text):
    for challenge in parse_challenges([text]):
        assert challenge.scheme
    parse_scopes(text)
    assert parse_retry_after(text, 0.0) >= 0


@given(st.lists(st.builds(Scope.repository, paths, st.sampled_from(["pull", "push", "delete"]))))
def test_merged_scopes_ask_for_the_same(scopes):
    merged = merge_scopes(scopes)
    assert {(scope.name, action) for scope in merged for action in scope.actions} == {
        (scope.name, action) for scope in scopes for action in scope.actions
    }
    assert len({scope.name for scope in merged}) == len(merged)
    assert merge_scopes(merged) == merged
