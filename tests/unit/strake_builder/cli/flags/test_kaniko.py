"""kaniko's flags in Strake's words: nothing of them is passed over in silence."""

from __future__ import annotations

import argparse

import pytest

from strake_builder.cli.commands import build
from strake_builder.cli.flags import kaniko
from strake_builder.errors import InvalidRequestError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    build.configure(parser)
    return parser.parse_args(words)


def translated(*words: str) -> argparse.Namespace:
    arguments = parsed(*words)
    kaniko.translate(arguments)
    return arguments


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--single-snapshot",), "--single-snapshot is not supported"),
        (("--insecure-pull=true",), "--insecure-pull is not supported"),
        (("--skip-tls-verify-pull",), "--skip-tls-verify-pull is not supported"),
        (("--push-ignore-immutable-tag-errors",), "is not supported"),
        (("--insecure", "-d", "a b/c"), "a b/c"),
    ],
)
def test_what_is_refused(words, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        translated(*words)


def test_insecure_means_the_registries_that_are_pushed_to():
    parsed = translated(
        "--insecure",
        "--skip-tls-verify=true",
        *("-d", "one.example:5000/app:1", "-d", "one.example:5000/app:2"),
        *("--cache-repo", "two.example/cache"),
        *("--insecure-registry", "three.example"),
    )
    assert parsed.insecure_registry == ["three.example", "one.example:5000", "two.example"]
    assert parsed.skip_tls_verify_registry == ["one.example:5000", "two.example"]


UNNEEDED = [
    *("--cleanup", "--compressed-caching=true", "--force", "--ignore-path=/x", "--ignore-var-run"),
    *("--snapshot-mode=redo", "--use-new-run=true", "--push-retry=3", "--verbosity=debug", "--log-timestamp"),
    *("--skip-unused-stages", "--kaniko-dir=/k", "--credential-helpers=", "--image-download-retry=2"),
]


@pytest.mark.parametrize("flag", UNNEEDED)
def test_what_is_not_needed_is_named_with_the_reason(flag):
    (note,) = kaniko.translate(parsed(flag))
    assert note.startswith(f"{flag.partition('=')[0]} is not needed: ")


@pytest.mark.parametrize("flag", ["--cleanup=false", "--single-snapshot=false", "--use-new-run=false"])
def test_what_is_switched_off_is_not_worth_a_word(flag):
    assert kaniko.translate(parsed(flag)) == []
