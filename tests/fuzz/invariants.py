"""What must hold for any text whatsoever that is called a Dockerfile."""

from __future__ import annotations

import dataclasses
from typing import Any

from strake_builder.frontend import BaseImage, DockerfileRefusedError, evaluate, parse, plan
from strake_builder.frontend.lint import as_json, as_sarif, as_text, lint_plan
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import ImageBase, StageBase
from strake_builder.frontend.model.syntax import Dockerfile, Position
from strake_builder.frontend.printer import to_text
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform

AMD64 = Platform("linux", "amd64")
BASE = BaseImage(RuntimeConfig(env=("PATH=/bin", "A=1"), on_build=("ENV T=1",)))


def check(text: str) -> bool:
    """Raise AssertionError, or whatever leaks, if an invariant is broken; tell whether the file is sound."""
    try:
        dockerfile = parse(text)
    except DockerfileRefusedError as refused:
        _check_message(refused, text)
        return False
    printed = to_text(dockerfile)
    again = parse(printed)
    assert meaning(again) == meaning(dockerfile), "printing changes the meaning"
    assert to_text(again) == printed, "printing is not stable"
    try:
        _carry_out(dockerfile)
    except DockerfileRefusedError as refused:
        _check_message(refused, text)
        return False
    return True


def _carry_out(dockerfile: Dockerfile) -> None:
    planned = plan(
        dockerfile,
        target=None,
        build_args={"A": "x", "http_proxy": "p"},
        platform=AMD64,
        build_platform=AMD64,
    )
    done: dict[int, EvaluatedStage] = {}
    base: BaseImage | EvaluatedStage | None
    for stage in planned.stages:
        match stage.base:
            case StageBase(index):
                base = done[index]
            case ImageBase():
                base = BASE
            case _:
                base = None
        done[stage.index] = evaluate(planned, stage, base)
        for step in done[stage.index].steps:
            target = getattr(step, "destination", "/")
            assert target.startswith("/"), "a destination is not absolute"
            assert "/../" not in f"{target}/", "a destination leaves its root"
    warnings = lint_plan(planned, all_stages=False, base_configs={}, ignore=None)
    for render in (as_text, as_json, lambda w: as_sarif(w, version="0")):
        render(warnings)


def _check_message(refused: DockerfileRefusedError, text: str) -> None:
    assert refused.problems
    lines = text.count("\n") + 1
    for problem in refused.problems:
        assert 1 <= problem.line <= lines, "a problem stands outside the file"
        assert problem.column >= 1
        assert problem.message
    assert len(str(refused)) < 60_000, "a message is too long"


def meaning(value: Any) -> Any:
    """Return a syntax tree as plain values, without places and comments inside instructions."""
    if isinstance(value, Position):
        return (value.keyword, value.text, value.comments, meaning(value.heredocs))
    if isinstance(value, Dockerfile):
        return (value.escape, meaning(value.global_args), meaning(value.stages))
    if dataclasses.is_dataclass(value):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return (type(value).__name__, *map(meaning, fields))
    if isinstance(value, tuple):
        return tuple(map(meaning, value))
    return value
