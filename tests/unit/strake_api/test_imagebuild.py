"""The spec: what is accepted, and what is refused with which words."""

from __future__ import annotations

import pytest

from strake_api.imagebuild import ImageBuild, ImageBuildSpec
from tests.fixtures.narrow import present
from tests.unit.strake_api.specs import refusal, spec


def test_defaults():
    parsed = ImageBuildSpec.model_validate(spec())
    assert (parsed.dockerfile, parsed.timeout, parsed.args, parsed.target) == ("Dockerfile", "1h", (), None)


def test_the_whole_of_it():
    parsed = ImageBuildSpec.model_validate(
        spec(
            source={"git": {"url": "https://git.example/app.git", "ref": "v1.2", "path": "services/api"}},
            dockerfile="docker/Dockerfile",
            target="release",
            args=[{"name": "VERSION", "value": "1.2"}],
            pushSecret={"name": "push"},
            pullSecret={"name": "pull"},
            serviceAccountName="builder",
            resources={"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            timeout="1h30m",
        )
    )
    assert present(parsed.source.git).path == "services/api"
    assert present(parsed.resources).requests == {"cpu": 1, "memory": "1Gi"}


@pytest.mark.parametrize(
    "source",
    [{}, {"configMap": {"name": "c"}, "inline": {"Dockerfile": "x"}}],
    ids=["none", "two"],
)
def test_exactly_one_source(source):
    assert "exactly one of git, http, oci, s3, gs, azure, configMap or inline" in refusal(source=source)


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b"])
def test_paths_stay_inside(path):
    assert "cannot leave it" in refusal(dockerfile=path)
    git = {"url": "https://x.example/y", "path": path}
    assert "cannot leave it" in refusal(source={"git": git})


@pytest.mark.parametrize("path", ["/abs", "a/../b", "a//b", "dir/", ".", ""])
def test_inline_paths_are_files_of_the_context(path):
    assert "relative path of a file" in refusal(source={"inline": {"Dockerfile": "x", path: "y"}})


def test_inline_needs_its_dockerfile():
    assert "holds no file of the name" in refusal(source={"inline": {"other": "x"}})


@pytest.mark.parametrize(
    "url", ["https://user:pw@x.example/y", "https://token@x.example/y", "ssh://git:pw@x.example/y"]
)
def test_no_credentials_in_a_url(url):
    assert "must not carry" in refusal(source={"git": {"url": url}})


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc", "/local", "ext::sh -c evil", "https://x.example", "x.example:y", "git@x.example:"),
        *("ssh://x.example", "-oProxyCommand=x@y:z", "git@-x:y"),
    ],
)
def test_no_other_transports(url):
    assert "git.url is written https://HOST/PATH, ssh://" in refusal(source={"git": {"url": url}})


@pytest.mark.parametrize(
    "url", ["ssh://git@x.example:2222/y.git", "ssh://x.example/y", "git@x.example:a/b.git"]
)
def test_ssh_needs_a_secret(url):
    assert "an ssh URL needs git.secret" in refusal(source={"git": {"url": url}})
    named = spec(source={"git": {"url": url, "secret": {"name": "deploy"}}})
    assert present(ImageBuildSpec.model_validate(named).source.git).url == url


@pytest.mark.parametrize("url", ["http://x.example/y", "git://x.example/y"])
def test_a_secret_is_sent_where_nobody_can_read_it(url):
    assert "needs an https or ssh URL" in refusal(source={"git": {"url": url, "secret": {"name": "x"}}})


@pytest.mark.parametrize("ref", ["--upload-pack=evil", "-x", "", "a b", "a\nb"])
def test_a_ref_is_never_an_option(ref):
    assert "ref" in refusal(source={"git": {"url": "https://x.example/y", "ref": ref}})


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("r.example/a@sha256:" + "0" * 64, "cannot hold a digest"),
        ("r.example/A:1", "lower case"),
        ("https://r.example/a:1", "drop the scheme"),
        ("app:feature/x", "cannot hold a '/'"),
        ("r.example:5000/app:feature/x", "cannot hold a '/'"),
        ("has space", "registry/repository:tag"),
        ("r.example/a:", "registry/repository:tag"),
    ],
)
def test_destinations(destination, message):
    assert message in refusal(output={"destinations": [destination]})


@pytest.mark.parametrize("good", ["a", "a:1", "localhost:5000/a/b:x_1", "r.example/a__b/c-d"])
def test_good_destinations(good):
    assert ImageBuildSpec.model_validate(spec(output={"destinations": [good]}))


@pytest.mark.parametrize("timeout", ["0s", "25h", "99999m"])
def test_timeouts_have_bounds(timeout):
    assert "at most 24h" in refusal(timeout=timeout)


@pytest.mark.parametrize("timeout", ["soon", "1.5h", "-1h", "1s2h", ""])
def test_timeouts_are_durations(timeout):
    assert "timeout" in refusal(timeout=timeout)


@pytest.mark.parametrize("name", ["", "Builder", "team/builder", "a" * 254])
def test_a_service_account_has_a_name_of_kubernetes(name):
    assert "serviceAccountName" in refusal(serviceAccountName=name)


def test_unknown_fields_are_refused():
    assert "pushSecrets" in refusal(pushSecrets={"name": "x"})


def test_a_manifest_with_a_status_can_be_read():
    parsed = ImageBuild.model_validate(
        {
            "apiVersion": "strake.dev/v1alpha1",
            "kind": "ImageBuild",
            "metadata": {"name": "hello", "uid": "x", "labels": {}},
            "spec": spec(),
            "status": {"phase": "Succeeded"},
        }
    )
    assert parsed.metadata.name == "hello"


def output(**changes):
    return {"destinations": ["registry.example/app:1"], **changes}


@pytest.mark.parametrize(
    "form",
    [
        {"compression": "gzip", "compressionLevel": 0},
        {"compression": "gzip", "compressionLevel": 9},
        {"compressionLevel": 9},
        {"compression": "zstd", "compressionLevel": 22},
        {"compression": "none", "mediaTypes": "docker", "labels": {"a": ""}},
        {"annotations": {"org.opencontainers.image.source": "https://x.example"}, "sourceDateEpoch": 0},
    ],
)
def test_good_forms(form):
    assert ImageBuildSpec.model_validate(spec(output=output(**form)))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"compression": "gzip", "compressionLevel": 10}, "0 to 9 for gzip"),
        ({"compressionLevel": 10}, "0 to 9 for gzip"),
        ({"compression": "zstd", "compressionLevel": 0}, "1 to 22 for zstd"),
        ({"compression": "zstd", "compressionLevel": 23}, "compressionLevel"),
        ({"compression": "none", "compressionLevel": 1}, "without compression there is none"),
        ({"compression": "zstd", "mediaTypes": "docker"}, "zstd needs mediaTypes oci"),
        ({"mediaTypes": "docker", "annotations": {"a": "b"}}, "Use labels"),
        ({"labels": {"": "b"}}, "needs a name"),
        ({"annotations": {"": "b"}}, "needs a name"),
        ({"compression": "lz4"}, "compression"),
        ({"sourceDateEpoch": -1}, "sourceDateEpoch"),
        ({"sourceDateEpoch": 10**11}, "sourceDateEpoch"),
    ],
)
def test_forms_that_contradict_themselves(form, message):
    assert message in refusal(output=output(**form))


def test_an_inline_cache_needs_a_manifest_with_annotations():
    assert "no place for the note" in refusal(cache={"inline": True}, output=output(mediaTypes="docker"))


@pytest.mark.parametrize(
    "setting", [{"repository": "r.example/c"}, {"images": ["r.example/a:1"]}, {"inline": True}]
)
def test_a_cache_that_is_off_has_no_repository(setting):
    assert "drop it or them" in refusal(cache={"enabled": False, **setting})
    assert ImageBuildSpec.model_validate(spec(cache={"enabled": False, "images": [], "noCache": True}))


@pytest.mark.parametrize(
    "value", ["", "7", "context", "stage", "Stage", "registry.example:5000/a:v1", "127.0.0.1:5000/a", "7zip"]
)
def test_an_epoch_in_an_argument_is_a_number_or_a_name(value):
    assert ImageBuildSpec.model_validate(spec(args=[{"name": "SOURCE_DATE_EPOCH", "value": value}]))


@pytest.mark.parametrize("value", ["-1", "+1", "1.5", "1" * 12, " 1", "7\n", " stage", "--stage"])
def test_an_epoch_in_an_argument_is_nothing_else(value):
    assert "SOURCE_DATE_EPOCH" in refusal(args=[{"name": "SOURCE_DATE_EPOCH", "value": value}])


@pytest.mark.parametrize("amount", ["1GB", "1 Gi", "", "Gi", -1])
def test_quantities_that_are_none(amount):
    assert "not 1GB" in refusal(resources={"limits": {"memory": amount}})


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"limits": {"mem": "1Gi"}}, "ephemeral-storage"),
        ({"requests": {"memory": "2Gi"}, "limits": {"memory": "1500M"}}, "more than resources.limits"),
        ({"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}, "more than resources.limits"),
    ],
)
def test_resources_that_make_no_sense(resources, message):
    assert message in refusal(resources=resources)


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": "1e1", "memory": "1Gi"}, "limits": {"memory": "1073741824"}},
        {"requests": {"hugepages-2Mi": "4Mi", "example.com/gpu": 1}},
    ],
)
def test_good_resources(resources):
    assert ImageBuildSpec.model_validate(spec(resources=resources))


def test_a_large_inline_context_is_told_where_to_go():
    files = {"Dockerfile": "FROM scratch", "a": "x" * 200_000, "b": "x" * 62_133}
    assert "source.configMap" in refusal(source={"inline": files})
    files["b"] = files["b"][:-1]
    assert ImageBuildSpec.model_validate(spec(source={"inline": files}))


def test_a_dockerfile_in_the_spec_itself():
    git = {"git": {"url": "https://x.example/y"}}
    assert (
        ImageBuildSpec.model_validate(spec(source=git, dockerfileInline="FROM a")).dockerfile_inline
        == "FROM a"
    )
    parsed = ImageBuildSpec.model_validate(
        spec(source={"inline": {"a": "x"}}, dockerfileInline="FROM scratch")
    )
    assert parsed.dockerfile == "Dockerfile"
    assert "drop one of the two" in refusal(source=git, dockerfile="other", dockerfileInline="FROM a")
    assert "dockerfileInline" in refusal(source=git, dockerfileInline="")


def test_a_dockerfile_and_the_files_of_the_spec_fit_into_one_document():
    files = {"a": "x" * 200_000}
    assert "together" in refusal(source={"inline": files}, dockerfileInline="#" * 62_145)
    assert ImageBuildSpec.model_validate(spec(source={"inline": files}, dockerfileInline="#" * 62_144))


GIT = {"git": {"url": "https://x.example/y", "ref": "main"}}


@pytest.mark.parametrize(
    "tag",
    [
        "{branch}",
        "v-{shortRevision}.{timestamp}",
        "{revision}",
        "{date}_{generation}",
        "{date}{date}",
        "1-{date}-x",
    ],
)
def test_fields_of_a_tag(tag):
    destination = f"r.example:5000/team/app:{tag}"
    parsed = ImageBuildSpec.model_validate(spec(source=GIT, output={"destinations": [destination]}))
    assert parsed.output.destinations == (destination,)


@pytest.mark.parametrize(
    "destination",
    [
        "r.example/{branch}:1",
        "{branch}.example/app:1",
        "r.example/app-{branch}",
        "r.example/app:{Branch}",
        "r.example/app:{{.Branch}}",
        "r.example/app:{branch",
        "r.example/app:branch}",
        "r.example/app:{}",
        "r.example/app:{date}:{date}",
        "r.example/app:${date}}",
    ],
)
def test_braces_elsewhere_are_refused(destination):
    assert "The repository is fixed" in refusal(source=GIT, output={"destinations": [destination]})


@pytest.mark.parametrize(
    "destination", ["r.example/app:-{date}", "r.example/App:{date}", "r.example/app:{date} x"]
)
def test_a_tag_with_fields_is_a_tag_else(destination):
    assert "registry/repository:tag" in refusal(source=GIT, output={"destinations": [destination]})


@pytest.mark.parametrize("field", ["branch", "revision", "shortRevision"])
def test_what_only_git_knows_needs_git(field):
    assert "need source.git" in refusal(output={"destinations": [f"r.example/a:{{{field}}}"]})


def test_a_branch_is_named():
    git = {"git": {"url": "https://x.example/y"}}
    assert "name the branch there" in refusal(source=git, output={"destinations": ["r.example/a:{branch}"]})


@pytest.mark.parametrize("depth", [-1, 1.5, "all", 10**7])
def test_a_depth_is_a_number_of_commits(depth):
    assert "depth" in refusal(source={"git": {"url": "https://x.example/y", "depth": depth}})
