"""What the warning about a relative WORKDIR says: the path as Go quotes it."""

from __future__ import annotations

import pytest

from strake_builder.frontend.lint import lint_plan
from strake_builder.frontend.parse import parse
from strake_builder.frontend.planning.plan import plan
from strake_oci.spec.platform import Platform


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# escape=`\nFROM scratch\nWORKDIR tools\\bin\n", r'"tools\\bin"'),
        ('FROM scratch\nWORKDIR a\\"b\n', r'"a\"b"'),
        ("FROM scratch\nWORKDIR é\n", '"é"'),
    ],
)
def test_the_path_is_quoted(text, shown):
    platform = Platform("linux", "amd64")
    file = parse(text, "Dockerfile")
    planned = plan(file, target="", build_args={}, platform=platform, build_platform=platform)
    [message] = [
        w.message
        for w in lint_plan(planned, all_stages=True, base_configs={}, ignore=None)
        if w.rule.name == "WorkdirRelativePath"
    ]
    assert message == f"Relative workdir {shown} can have unexpected results if the base image changes"
