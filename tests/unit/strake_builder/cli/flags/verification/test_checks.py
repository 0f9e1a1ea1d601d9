"""`--verify` and `--verify-file`: checks in few words, and in a file."""

from __future__ import annotations

import argparse

import pytest

from strake_api.models.verification import Check
from strake_builder.cli.flags.verification.checks import add_verification_flags, read_checks
from strake_builder.errors import InvalidRequestError


def read(*words: str) -> tuple[Check, ...]:
    parser = argparse.ArgumentParser()
    add_verification_flags(parser)
    return read_checks(parser.parse_args(words))


def test_a_flag_has_every_field():
    text = (
        'type=scan,name=cves,image=grype,command=/grype -q,"args=dir:/x --only a,b",env=A=1=2,env=B=,'
        "network=default,fail-on=critical,ignore=CVE-1,ignore=CVE-2,warn-only"
    )
    [check] = read("--verify", text)
    assert check == Check.model_validate(
        {
            "name": "cves",
            "kind": "scan",
            "image": "grype",
            "command": ["/grype", "-q"],
            "args": ["dir:/x", "--only", "a,b"],
            "env": [{"name": "A", "value": "1=2"}, {"name": "B", "value": ""}],
            "network": "default",
            "failOn": "critical",
            "ignore": [{"id": "CVE-1"}, {"id": "CVE-2"}],
            "warnOnly": True,
        }
    )


def test_names_are_made_where_none_is_given():
    checks = read("--verify=type=test,command=a", "--verify=type=test,command=b,warn-only=false")
    assert [(each.name, each.warn_only) for each in checks] == [("test-1", False), ("test-2", False)]


@pytest.mark.parametrize("head", ["", "verify:\n"])
@pytest.mark.parametrize("day", ["2027-01-31", '"2027-01-31"'])
def test_a_file_is_as_in_an_image_build(tmp_path, head, day):
    path = tmp_path / "checks.yaml"
    entry = f"ignore: [{{id: CVE-1, expires: {day}, reason: known}}]"
    path.write_text(f"{head}- name: cves\n  kind: scan\n  image: grype\n  {entry}\n")
    [check] = read(f"--verify-file={path}")
    assert [each.expires for each in check.ignore] == ["2027-01-31"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no list"),
        ("verify: {}", "no list"),
        ("- {name: a, kind: test}", "needs a command"),
        ("- {name: a, kind: test, command: [a], secret: b}", "secret"),
        ("- 1", "valid"),
        ("[" * 5000, "no YAML"),
        ("&a [*a]", "valid"),
        ("a" * 2_000_000, "larger than 1 MiB"),
    ],
)
def test_a_file_that_has_no_checks_is_refused(tmp_path, content, words):
    path = tmp_path / "checks.yaml"
    path.write_text(content)
    with pytest.raises(InvalidRequestError, match=words):
        read(f"--verify-file={path}")


def test_two_checks_of_one_name_are_refused():
    flag = "--verify=type=test,name=a,command=a"
    with pytest.raises(InvalidRequestError, match="2 checks are called a"):
        read(flag, flag)
