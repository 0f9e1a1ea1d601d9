"""Names in registries, read by us and by the packages that everybody else uses.

References by distribution/reference, digests by go-digest, platforms and challenges by containerd, the keys of pull
secrets by the kubelet. Every disagreement is fixed, or stands here with its reason.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from strake_oci.credentials.docker_config import DockerConfig, find
from strake_oci.errors import OCIError, PlatformNotFoundError
from strake_oci.registry.auth.challenge import parse_challenges
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform, choose
from strake_oci.spec.reference import Reference, Repository

ONE_PROGRAM = settings(
    max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

hexadecimal = st.sampled_from(["0", "a", "f", "A"])
encoded = st.sampled_from([0, 63, 64, 65, 128]).flatmap(
    lambda size: st.text(hexadecimal, min_size=size, max_size=size)
)
algorithms = st.sampled_from(["sha256", "sha512", "sha384", "SHA256", "md5", "", "x+y"])
digests = st.builds("{}:{}".format, algorithms, encoded)
pieces = st.sampled_from(
    [*"aZ0./:@_-[]", "..", "__", "localhost", "docker.io", "index.docker.io", "library", "a.b", "EXAMPLE.com"]
)
texts = st.lists(pieces, min_size=1, max_size=9).map("".join)
references = st.one_of(texts, st.builds("{}@{}".format, texts, digests), st.text(max_size=30), encoded)


def read_reference(text):
    try:
        return Reference.parse(text)
    except OCIError:
        return None


@ONE_PROGRAM
@given(references)
def test_references(names, text):
    theirs = names.ask("reference", text=text)
    reference = read_reference(text)
    if reference is None:
        # They have a third algorithm, which nobody uses and we do not read. And what they take for a host at first,
        # which has a dot, and then for a path, as docker.io__a/b, is in no registry at all.
        assert "error" in theirs or "sha384" in text or not theirs["ok"]["registry"]
        return
    repository = reference.repository
    ours = {"registry": repository.registry, "path": repository.path, "familiar": reference.familiar}
    ours |= {"tag": reference.tag} if reference.tag else {}
    ours |= {"digest": str(reference.digest)} if reference.digest else {}
    assert theirs == {"ok": ours}


@ONE_PROGRAM
@given(digests | st.text(max_size=20))
def test_digests(names, text):
    assume("sha384" not in text)
    theirs = names.ask("digest", text=text)
    try:
        assert theirs == {"ok": str(Digest.parse(text))}
    except OCIError:
        assert "error" in theirs


systems = st.sampled_from(["linux", "Linux", "macOS", "darwin", "windows"])
architectures = st.sampled_from(
    [
        "amd64",
        "x86_64",
        "x86-64",
        "386",
        "i386",
        "arm64",
        "aarch64",
        "arm",
        "armhf",
        "armel",
        "s390x",
        "riscv64",
    ]
)
arm64_variants = ["8", "v8", "V8", "v8.0", "v8.1", "v8.5", "v8.9", "9", "v9", "v9.0", "v9.1", "v9.7"]
variants = st.sampled_from(["", "v1", "v2", "v3", "v4", "5", "6", "v6", "v7", "7", *arm64_variants])
platforms = st.builds(Platform, systems, architectures, variants)


def wire(platform):
    return {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}


@ONE_PROGRAM
@given(platforms)
def test_normal_platforms(names, platform):
    normal = platform.normalized()
    theirs = names.ask("normalize", platforms=[wire(platform)])["ok"]
    assert theirs == [[normal.os, normal.architecture, normal.variant]]


@ONE_PROGRAM
@given(platforms, st.lists(platforms, max_size=5))
def test_choice_of_platforms(names, wanted, offered):
    normal = wanted.normalized()
    # Of a variant that they do not know they say that not even its own images run on it.
    assume(normal.architecture != "arm64" or normal.variant in {"", *arm64_variants})
    theirs = names.ask("choose", platforms=[wire(each) for each in (wanted, *offered)])["ok"]
    try:
        ours = choose(wanted, [(platform, number) for number, platform in enumerate(offered)])
    except PlatformNotFoundError:
        ours = -1
    assert ours == theirs


words = st.sampled_from(["realm", "service", "scope", "error"])
values = st.sampled_from(
    ["https://auth.example/token", "registry:5000", "repository:a/b:pull,push", "", "a b", "x=y", "Basic"]
)


@ONE_PROGRAM
@given(
    st.lists(
        st.tuples(st.sampled_from(["Bearer", "Basic", "BEARER"]), st.dictionaries(words, values)), max_size=3
    ),
    st.sampled_from([",", ", "]),
)
def test_challenges(names, challenges, comma):
    """As registries write them: one in a header, every value in quotation marks."""
    headers = [
        f"{scheme} " + comma.join(f'{name}="{value}"' for name, value in parameters.items())
        for scheme, parameters in challenges
    ]
    theirs = names.ask("challenges", headers=headers)["ok"]
    ours = [
        [challenge.scheme, dict(sorted(challenge.parameters.items()))]
        for challenge in parse_challenges(headers)
    ]
    # They put Bearer first, which we do when we answer.
    assert sorted(ours, key=str) == sorted(theirs, key=str)


hosts = st.sampled_from(
    ["a.io", "b.io", "a.b.io", "*.io", "*.b.io", "a.*", "*", "a.*.io", "a.io:5000", "*.io:5000"]
)
paths = st.sampled_from(
    ["", "/", "/team", "/team/", "/team/app", "/team/app/x", "/te", "/v1/", "/v2/", "/v2/team"]
)
schemes = st.sampled_from(["", "https://", "http://"])
keys = st.builds("{}{}{}".format, schemes, hosts, paths)
repositories = st.builds(
    Repository,
    st.sampled_from(["a.io", "b.io", "a.b.io", "x.io", "a.io:5000"]),
    st.sampled_from(["team", "team/app", "team/app/x", "teamwork/app", "v2/team", "other"]),
)


def plain(key):
    """Return a key as both understand it; of two that are the same, theirs come in no certain order."""
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    return host, path.removeprefix("v1/").removeprefix("v2/")


@ONE_PROGRAM
@given(st.lists(st.lists(keys, max_size=5, unique_by=plain), max_size=3), repositories)
def test_keys_of_pull_secrets(names, secrets, repository):
    theirs = names.ask("credentials", keys=secrets, repository=str(repository))["ok"]
    configs = [
        DockerConfig.parse(
            json.dumps(
                {"auths": {key: {"username": f"{number} {key}", "password": "p"} for key in secret}}
            ).encode(),
            "",
        )
        for number, secret in enumerate(secrets)
    ]
    found = find(configs, repository)
    fair = [user for user in theirs if is_whole(user.partition(" ")[2], repository)]
    assert [found.username if found else None] == (fair[:1] or [None])


def is_whole(key, repository):
    """Say whether a key ends where a part of the name does: they take `a.io/te` for `a.io/team`, too."""
    path = plain(key)[1].rstrip("/")
    return not path or f"{repository.path}/".startswith(f"{path}/")


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "docker.io/library"]
)
def test_docker_hub(names, key):
    theirs = names.ask("credentials", keys=[[key]], repository="docker.io/library/alpine")["ok"]
    config = DockerConfig.parse(json.dumps({"auths": {key: {"username": "u", "password": "p"}}}).encode(), "")
    assert bool(theirs) == bool(find([config], Repository.parse("alpine"))) == True  # noqa: E712 all three
