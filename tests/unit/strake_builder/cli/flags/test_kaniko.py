"""kaniko's flags in Strake's words: every one is taken, and nothing of them is passed over in silence."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from strake_builder.cli.commands import build
from strake_builder.cli.flags.kaniko.table import Does, Flag, Kind, flags, variables
from strake_builder.cli.flags.kaniko.translation import translate
from strake_builder.cli.flags.kaniko.values import left_out_paths, targets
from strake_builder.cli.flags.registry import read_pulling, read_registries
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import TreeTarget

NONE: dict[str, str] = {}
LISTED = [
    line.split()
    for line in Path(__file__).with_name("kaniko_flags.txt").read_text().splitlines()
    if not line.startswith("#")
]


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    build.configure(parser)
    return parser.parse_args(words)


def translated(*words: str, executor: bool = False, **environment: str) -> argparse.Namespace:
    arguments = parsed(*words)
    translate(arguments, environment, executor=executor)
    return arguments


def notes(*words: str, executor: bool = False, **environment: str) -> list[str]:
    return translate(parsed(*words), environment, executor=executor)


def test_the_table_has_the_flags_of_both_sources():
    told = {name for flag in flags() for name in flag.names}
    assert told == {word for line in LISTED for word in line if word.startswith("-")}
    kinds = {name: flag.kind is Kind.SWITCH for flag in flags() for name in flag.names}
    assert {line[0]: kinds[line[0]] for line in LISTED} == {line[0]: line[-2] == "bool" for line in LISTED}
    since = {flag.name: flag.since for flag in flags()}
    assert {line[0]: line[-1] for line in LISTED if line[0] in since} == since


VALUES = {
    "--compression": "zstd",
    "--compression-level": "3",
    "--image-format": "docker",
    "--log-format": "color",
    "--verbosity": "debug",
}


@pytest.mark.parametrize("flag", flags(), ids=lambda flag: flag.name)
def test_every_flag_is_parsed_in_every_spelling(flag: Flag):
    value = VALUES.get(flag.name, "7")
    for name in flag.names:
        if flag.kind is Kind.SWITCH:
            lines = [[name], *([f"{name}={word}"] for word in ("true", "false", "1", "0", "T", "F", "True"))]
        else:
            lines = [[name, value], [f"{name}={value}"]]
        taken = [vars(parsed(*words)) for words in lines]
        assert taken[0] != vars(parsed())
        assert taken[0] == taken[1]


@pytest.mark.parametrize("flag", flags(), ids=lambda flag: flag.name)
def test_what_is_not_needed_is_named_once_with_the_reason(flag: Flag):
    if flag.does is not Does.NOTED:
        assert flag.here
        return
    given = [flag.name] if flag.kind is Kind.SWITCH else [flag.name, "1"]
    is_default = flag.name == "--cache-copy-layers"
    if is_default:
        given = [f"{flag.name}=false"]
    assert notes(*given) == [f"{flag.name} is not needed: {flag.here}"]
    if flag.kind is Kind.SWITCH:
        assert notes(f"{flag.name}={'true' if is_default else 'false'}") == []


def test_what_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit):
        parsed("--no-such-flag")
    assert "--no-such-flag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--insecure", "-d", "a b/c"), "a b/c"),
    ],
)
def test_what_is_refused(words, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        translated(*words)


def test_insecure_means_the_registries_that_are_pushed_to():
    words = (
        "--insecure",
        "--skip-tls-verify=true",
        *("-d", "one.example:5000/app:1", "-d", "one.example:5000/app:2"),
        *("--cache-repo", "two.example/cache"),
        *("--insecure-registry", "three.example"),
    )
    arguments = translated(*words)
    assert arguments.skip_tls_verify_registry == ["one.example:5000", "two.example"]
    settings = read_registries(arguments)
    assert settings.of("three.example").plain_http
    assert settings.of("one.example:5000").plain_fallback
    assert settings.of("two.example").plain_fallback
    assert not settings.of("four.example").plain_fallback


def test_to_the_executor_an_insecure_registry_may_have_tls():
    settings = read_registries(translated("--insecure-registry=a.example", executor=True))
    assert settings.of("a.example").plain_fallback
    assert not settings.of("a.example").plain_http


def test_insecure_pull_is_about_base_images_alone():
    arguments = translated(
        "--insecure-pull", "--skip-tls-verify-pull", "--registry-certificate=a.example=/dev/null"
    )
    arguments.registry_certificate = []
    settings = read_registries(arguments)
    pulling = read_pulling(arguments, settings)
    assert pulling is not None
    assert pulling.of("any.example").plain_fallback
    assert not pulling.of("any.example").tls.verify
    assert not settings.of("any.example").plain_fallback
    assert read_pulling(translated(), settings) is None


@pytest.mark.parametrize(
    ("maps", "mirrors"),
    [
        (["docker.io=m1"], {"docker.io": ["m1"]}),
        (["index.docker.io=m1;index.docker.io=m2/p"], {"docker.io": ["m1", "m2/p"]}),
        (["a.example=m1;b.example=m2"], {"a.example": ["m1"], "b.example": ["m2"]}),
        (["a.example=m1", "a.example=m2;b.example=m3;"], {"a.example": ["m1", "m2"], "b.example": ["m3"]}),
        (["a.example=m1;m2;b.example=m3"], {"a.example": ["m1", "m2"], "b.example": ["m3"]}),
    ],
)
def test_registry_maps_in_all_their_forms(maps, mirrors):
    settings = read_registries(translated(*(f"--registry-map={text}" for text in maps)))
    found = {
        host: [f"{each.registry}/{each.prefix}".rstrip("/") for each in settings.of(host).mirrors]
        for host in mirrors
    }
    assert found == mirrors


def test_the_variables_count_as_the_flags_do():
    arguments = translated(
        "--registry-map=a.example=m1",
        KANIKO_NO_PUSH="true",
        KANIKO_REGISTRY_MAP="a.example=m2",
        KANIKO_REGISTRY_MIRROR="m3",
    )
    assert arguments.no_push is True
    settings = read_registries(arguments)
    assert [each.registry for each in settings.of("a.example").mirrors] == ["m1", "m2"]
    assert [each.registry for each in settings.of("docker.io").mirrors] == ["m3"]
    assert translated("--no-push", KANIKO_NO_PUSH="false").no_push is False
    with pytest.raises(InvalidRequestError, match="KANIKO_NO_PUSH"):
        translated(KANIKO_NO_PUSH="perhaps")


@pytest.mark.parametrize("variable", [each for each in variables() if each.does is Does.NOTED])
def test_variables_that_are_not_needed_are_named(variable):
    assert translate(parsed(), {variable.name: "1"}) == [f"${variable.name} is not needed: {variable.here}"]
    assert translate(parsed(), {variable.name: ""}) == []


def test_variables_that_nobody_knows_are_named():
    assert notes(FF_KANIKO_NEW="1", KANIKO_NEW="1", OTHER="1") == [
        "$FF_KANIKO_NEW has no meaning here",
        "$KANIKO_NEW has no meaning here",
    ]
    assert notes(KANIKO_R_EXAMPLE_USER="me", KANIKO_R_EXAMPLE_PASSWORD="x") == []


def test_the_executor_caches_only_where_it_is_asked_to(tmp_path):
    flags_given = (f"--cache-dir={tmp_path}", "--cache-repo=r.example/cache", "-d=r.example/app:1")
    arguments = translated(*flags_given, "--cache=false", executor=True)
    assert (arguments.cache, arguments.cache_dir, arguments.cache_repo) == (None, None, None)
    assert len(notes(*flags_given, executor=True)) == 2
    assert translated(*flags_given, "--cache", executor=True).cache_repo == "r.example/cache"
    beside = translated("--cache=true", f"--cache-dir={tmp_path}", "-d=r.example:5000/app:1", executor=True)
    assert (beside.cache_dir, beside.cache_repo) == (str(tmp_path), "r.example:5000/app/cache")


def test_run_that_is_not_cached_runs_anew():
    assert translated("--cache-run-layers=false").no_cache is True
    assert translated("--cache-run-layers").no_cache is False


def test_several_targets():
    assert targets(parsed("--target=a,b", "--target", "c", "--target=a").target) == ["a", "b", "c"]


def test_paths_that_layers_lack():
    arguments = translated("--ignore-path=/var/cache/", "--ignore-path", "/x/../y", "--ignore-var-run")
    assert left_out_paths(arguments.ignore_path, ()) == {b"var/cache", b"y", b"var/run"}
    for wrong in ("relative", "/", "//"):
        with pytest.raises(InvalidRequestError, match="--ignore-path"):
            left_out_paths([wrong], ())
    with pytest.raises(InvalidRequestError, match="type=local"):
        left_out_paths(["/x"], (TreeTarget("out"),))


def test_the_page_has_the_table():
    root = Path(__file__).parents[5]
    done = subprocess.run([sys.executable, root / "docs/generate.py", "--check"], check=False)
    assert done.returncode == 0, "run `make docs`"
    page = (root / "docs/from-kaniko.md").read_text()
    assert [name for flag in flags() for name in flag.names if f"`{name}`" not in page] == []
