"""Flags of where an image goes and how it is written: what they say together."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pydantic import ValidationError

from strake_builder.cli.commands import build
from strake_builder.cli.flags.output import add_output_flags, read_outputs, takes_standard_output
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import ArchiveTarget, LayoutTarget, TreeTarget
from strake_builder.progress.style import LogStyle


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    build.configure(parser)
    return parser.parse_args(words)


def request(*words: str, monkeypatch=None):
    return build._prepare(parsed(*words), 0o022, LogStyle())[0]


def test_a_destination_is_pushed_to():
    outputs = read_outputs(parsed("-d", "r.example/a", "-t", "r.example/b", "-d", "r.example/a"))
    assert outputs.push
    assert outputs.request.destinations == ("r.example/a", "r.example/b")
    assert outputs.files == ()


def test_everything_at_once():
    outputs = read_outputs(
        parsed(
            *("-o", "type=registry,name=r.example/b", "-d", "r.example/a", "-o", "/out"),
            *("--tar-path", "/a.tar", "--oci-layout-path", "/layout"),
        )
    )
    assert outputs.request.destinations == ("r.example/a", "r.example/b")
    assert outputs.files == (
        ArchiveTarget("/a.tar", docker=True),
        LayoutTarget("/layout"),
        TreeTarget("/out"),
    )


def test_without_a_push_destinations_are_names():
    outputs = read_outputs(parsed("-d", "r.example/a", "--no-push", "--tar-path", "/a.tar"))
    assert not outputs.push
    assert outputs.request.destinations == ("r.example/a",)


def test_switches_may_be_written_as_kanikos():
    outputs = read_outputs(
        parsed("-d", "a", "--no-push=false", "--reproducible=true", "--skip-push-permission-check")
    )
    assert outputs.push
    assert outputs.request.reproducible
    assert outputs.request.skip_push_permission_check
    assert not read_outputs(parsed("-d", "a", "--no-push", "--reproducible=false")).push


def test_the_form_comes_from_flags_and_outputs_alike():
    form = read_outputs(
        parsed(
            *("-d", "a", "--compression", "zstd", "--label", "a=b=c", "--label", "d=", "--annotation", "x=1"),
            *("-o", "type=oci,dest=/a,compression=zstd,compression-level=5,annotation.y=2"),
        )
    ).request
    assert (form.compression, form.compression_level) == ("zstd", 5)
    assert form.labels == {"a": "b=c", "d": ""}
    assert form.annotations == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "goes nowhere"),
        (["--tar-path", "/a"], "needs a name"),
        (["--no-push", "-o", "type=docker,dest=/a"], "needs a name"),
        (["-o", "/a", "-o", "type=tar,dest=/a"], "two outputs go to /a"),
        (["-o", "-", "--log-format", "json"], "--log-format json"),
        (
            ["-d", "a", "--compression", "gzip", "-o", "type=registry,compression=zstd"],
            "'gzip' and as 'zstd'",
        ),
        (["-d", "a", "--annotation", "x=1", "-o", "type=registry,annotation.x=2"], "annotation x"),
        (["-d", "a", "--label", "novalue"], "write NAME=VALUE"),
        (["-d", "a", "--annotation", "=value"], "write NAME=VALUE"),
        (["-d", "a", "--compression", "brotli"], "gzip, zstd or none"),
        (["-d", "a", "--source-date-epoch=-5"], "whole number of seconds"),
    ],
)
def test_what_is_refused(words, message):
    with pytest.raises(InvalidRequestError) as refused:
        read_outputs(parsed(*words))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compression-level", "10"], "0 to 9 for gzip"),
        (["--compression", "zstd", "--compression-level", "0"], "1 to 22 for zstd"),
        (["--compression", "uncompressed", "--compression-level", "1"], "without compression there is none"),
        (["--compression", "zstd", "--media-types", "docker"], "no name for it"),
        (["--annotation", "a=b", "--media-types", "docker"], "Use labels"),
    ],
)
def test_forms_that_contradict_themselves(words, message):
    with pytest.raises(ValidationError, match=message):
        read_outputs(parsed("-d", "a", *words))


def test_a_number_that_no_format_has_names_its_field():
    with pytest.raises(InvalidRequestError, match="compression_level: Input should be greater"):
        request("-d", "a", "--compression-level", "-2")


def test_an_inline_cache_needs_a_manifest_with_annotations():
    with pytest.raises(InvalidRequestError, match="inline cache needs OCI"):
        request("-d", "a", "--cache-inline", "--media-types", "docker")


def test_the_standard_output_is_for_one_thing():
    assert takes_standard_output(parsed("-o", "-"))
    assert not takes_standard_output(parsed("-o", "out"))


@pytest.mark.parametrize(
    ("words", "variable", "epoch", "argument"),
    [
        ([], None, None, None),
        ([], "5", None, "5"),
        (["--build-arg", "SOURCE_DATE_EPOCH=6"], "5", None, "6"),
        (["--build-arg", "SOURCE_DATE_EPOCH"], "5", None, "5"),
        (["--source-date-epoch", "7"], "5", 7, "7"),
        (["--source-date-epoch", "context"], "5", None, "context"),
        (["--source-date-epoch", "source"], "5", None, "source"),
        ([], "context", None, "context"),
        (["--source-date-epoch", "7", "--build-arg", "SOURCE_DATE_EPOCH=6"], None, 7, "6"),
        (["--reproducible"], None, 0, None),
        (["--reproducible"], "5", 0, "5"),
    ],
)
def test_which_time_counts(words, variable, epoch, argument, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if variable:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", variable)
    made = request("-d", "a", *words)
    assert made.epoch(None) == epoch
    assert {a.name: a.value for a in made.args} == ({"SOURCE_DATE_EPOCH": argument} if argument else {})


def test_a_variable_that_is_no_time_is_refused(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1970-01-01")
    with pytest.raises(InvalidRequestError, match="SOURCE_DATE_EPOCH is a whole number"):
        request("-d", "a")


def test_every_flag_is_explained():
    parser = argparse.ArgumentParser()
    add_output_flags(parser)
    page = (Path(__file__).parents[5] / "docs/cli.md").read_text()
    flags = [action.option_strings[0] for action in parser._actions if action.dest != "help"]
    assert len(flags) > 10
    for flag in flags:
        assert f"`{flag}" in page, flag


@pytest.mark.parametrize(
    "words",
    [("--tar-path", "{}/no/a.tar"), ("-o", "type=oci,dest={}/no/a.tar"), ("-o", "type=tar,dest={}/no/a.tar")],
)
def test_an_archive_in_a_directory_that_is_missing_is_refused_before_the_build(words, tmp_path):
    flags = [word.format(tmp_path) for word in words]
    with pytest.raises(InvalidRequestError, match=f"there is no directory {tmp_path}/no"):
        read_outputs(parsed(*flags, "-d", "r.example/a", "--no-push"))
    (tmp_path / "no").mkdir()
    assert read_outputs(parsed(*flags, "-d", "r.example/a", "--no-push")).files
