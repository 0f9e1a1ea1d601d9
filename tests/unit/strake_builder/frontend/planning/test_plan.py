"""Planning: which stages are built, from what, in which order."""

from __future__ import annotations

import pytest

from strake_builder.frontend import DockerfileRefusedError
from strake_builder.frontend.model.planned import ImageBase, ScratchBase, StageBase
from strake_oci.spec.platform import Platform
from tests.unit.strake_builder.frontend.stages import AMD64, planned

THREE = "FROM x AS a\nRUN 1\nFROM a AS b\nRUN 2\nFROM y AS c\nCOPY --from=a /1 /1\n"


def refused(text: str, **options) -> DockerfileRefusedError:
    with pytest.raises(DockerfileRefusedError) as caught:
        planned(text, **options)
    return caught.value


def test_only_what_the_target_needs_is_built():
    assert [stage.name for stage in planned(THREE).stages] == ["a", "c"]
    assert [stage.name for stage in planned(THREE, target="B").stages] == ["a", "b"]


def test_bases_are_resolved_with_global_arguments():
    plan = planned("ARG v=1\nFROM img:$v AS a\nFROM A\nFROM scratch\n", v="2")
    assert [stage.base for stage in plan.every_stage] == [
        ImageBase("img:2", AMD64),
        StageBase(0),
        ScratchBase(),
    ]


def test_platform_of_a_stage_is_inherited():
    plan = planned("FROM --platform=linux/arm64 x AS a\nFROM a\n")
    assert {stage.platform for stage in plan.every_stage} == {Platform("linux", "arm64")}


def test_a_build_argument_overrides_a_platform_argument():
    assert planned("FROM x-$TARGETARCH\n", TARGETARCH="odd").target_stage.base == ImageBase("x-odd", AMD64)


def test_needs_of_copies_and_mounts_are_known_before_expansion():
    text = "FROM x AS a\nFROM y\nCOPY --from=0 /a /b\nCOPY --from=z:1 /a /b\nRUN --mount=from=A,target=/m x\n"
    stage = planned(text).target_stage
    assert (stage.stages, stage.images) == (frozenset({0}), frozenset({"z:1"}))


def test_triggers_of_a_stage_count_as_needs_of_those_on_it():
    text = "FROM x AS lib\nFROM x AS p\nONBUILD COPY --from=lib /a /b\nFROM p\n"
    assert [stage.index for stage in planned(text).stages] == [0, 1, 2]


def test_needs_found_later_grow_the_plan():
    plan = planned("FROM x AS lib\nFROM withtriggers\n")
    assert plan.needed == (1,)
    grown = plan.also_needing(1, {0}, {"img"})
    assert grown.needed == (0, 1)
    assert grown.target_stage.images == {"img"}


def test_slip_in_a_stage_name_is_recognised():
    plan = planned("FROM x AS build\nFROM y\nCOPY --from=bulid /a /b\n")
    assert plan.target_stage.images == {"bulid"}
    assert plan.meant_stage("bulid") == "did you mean build?"
    assert plan.meant_stage("alpine") == ""


def test_unneeded_forward_reference_is_no_mistake():
    assert planned("FROM x\nCOPY --from=b /a /b\nFROM y AS b\n").needed == (1,)


def test_unused_build_arguments_are_named():
    plan = planned(
        "ARG g\nFROM x\nARG s\n", g="1", s="2", typo="3", HTTP_PROXY="p", TARGETOS="o", BUILDKIT_X="1"
    )
    assert plan.unused_build_args == ("typo",)


@pytest.mark.parametrize(
    ("text", "target", "code", "says"),
    [
        ("FROM x AS ab\n", "abc", "unknown-target", "did you mean ab?"),
        ("FROM x\n", "abc", "unknown-target", "no stage of the file has a name"),
        ("FROM $x\n", None, "blank-base", "ARG x"),
        ("FROM a:b:c\n", None, "invalid-reference", "a:b:c"),
        ("FROM --platform=$x y\n", None, "invalid-platform", "empty platform"),
        ("FROM x\nCOPY --from=7 /a /b\n", None, "unknown-stage", "invalid stage index 7"),
        ("FROM x\nCOPY --from=$y /a /b\n", None, "invalid-flag", "FROM $… AS name"),
        ("FROM x\nCOPY --from=0 /a /b\n", None, "circular-dependency", "needs itself"),
        (
            "FROM x AS a\nCOPY --from=b /a /b\nFROM y AS b\nCOPY --from=a /a /b\n",
            None,
            "circular-dependency",
            "",
        ),
        (
            "FROM x AS a\nCOPY --from=b /a /b\nFROM y AS b\nFROM a\n",
            None,
            "stage-order",
            "move 'b' above 'a'",
        ),
        ("FROM x\nRUN --mount=type=cach,target=/c y\n", None, "invalid-mount", "did you mean cache?"),
        ("FROM x\nCOPY --chmod=999 a /b\n", None, "invalid-mode", "999"),
        ("FROM x\nCOPY a[ /b\n", None, "invalid-pattern", "close ["),
        ("FROM x\nCOPY --exclude=! a /b\n", None, "invalid-pattern", "illegal exclusion"),
        ("FROM x\nEXPOSE 99999\n", None, "invalid-port", "65535"),
        ("FROM x\nSTOPSIGNAL SIGTREM\n", None, "invalid-signal", "did you mean TERM?"),
        ("FROM x\nCOPY git@h:r.git /x\n", None, "invalid-source", "use ADD"),
        ("FROM x\nADD --checksum=sha256:1 a /x\n", None, "invalid-checksum", "HTTP(S) or Git"),
        ("FROM x\nCOPY --link --chown=me a /x\n", None, "invalid-flag", "use numbers"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_work(text, target, code, says):
    error = refused(text, target=target)
    assert str(error.problems[0].code) == code
    assert says in str(error)


def test_mistakes_of_unneeded_stages_do_not_matter():
    assert planned("FROM x\nEXPOSE 99999\nFROM y\n").needed == (1,)


def test_several_mistakes_are_reported_at_once():
    assert len(refused("FROM a:b:c\nCOPY --from=9 a b\nFROM $none\n").problems) == 3


def test_a_heredoc_with_a_required_variable_is_left_to_evaluation():
    assert len(planned("FROM x\nCOPY <<E /x\n${later:?}\nE\n").stages) == 1


def test_hundreds_of_stages_are_planned_and_thousands_refused():
    def chain(count: int) -> str:
        return "FROM x AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(count - 1))

    assert len(planned(chain(500)).stages) == 500
    assert str(refused(chain(501)).problems[0].code) == "too-large"
