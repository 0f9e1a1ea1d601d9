"""`--build-arg`, with a value and without."""

from __future__ import annotations

import pytest

from strake_builder.cli.flags.build_arguments import build_arguments
from strake_builder.cli.main import main
from strake_builder.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["A=1"], {"A": "1"}),
        (["A="], {"A": ""}),
        (["A=b=c"], {"A": "b=c"}),
        (["SET"], {"SET": "here"}),
        (["EMPTY"], {"EMPTY": ""}),
        (["UNSET"], {}),
        (["UNSET", "A=1"], {"A": "1"}),
        (["A=1", "A=2"], {"A": "2"}),
        (["UNSET=1", "UNSET"], {"UNSET": "1"}),
        (["SET=1", "SET"], {"SET": "here"}),
    ],
)
def test_values_come_from_the_flag_or_the_environment(given, found):
    assert build_arguments(given, {"SET": "here", "EMPTY": ""}) == found


@pytest.mark.parametrize("text", ["", "=", "=value"])
def test_a_name_is_needed(text):
    with pytest.raises(InvalidRequestError, match=r"has no name.*NAME"):
        build_arguments([text], {})


def test_lint_takes_them_too(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CI_COMMIT_TAG", raising=False)
    file = tmp_path / "Dockerfile"
    file.write_text("ARG CI_COMMIT_TAG=v1\nFROM debian:$CI_COMMIT_TAG\n")
    with pytest.raises(SystemExit) as ended:
        main(["lint", str(file), "--build-arg", "CI_COMMIT_TAG"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "no warnings\n"
