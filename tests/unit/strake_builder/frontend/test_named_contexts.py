"""Named contexts: what they stand in for, and under which names."""

from __future__ import annotations

import pytest

from strake_builder.frontend import BaseImage, evaluate, parse, plan, trigger_needs
from strake_builder.frontend.model.named_contexts import (
    FilesContext,
    ImageContext,
    NamedContexts,
    context_name,
)
from strake_builder.frontend.model.planned import BuildPlan, ContextBase, ImageBase, ScratchBase, StageBase
from strake_builder.frontend.model.steps import (
    BindMount,
    CopyStep,
    FromImage,
    FromNamedContext,
    FromScratch,
    FromStage,
    RunStep,
)
from strake_oci.errors import InvalidReferenceError
from strake_oci.spec.image import RuntimeConfig
from tests.unit.strake_builder.frontend.stages import AMD64, PATH

FILES = FilesContext()
IMAGE = ImageContext("registry.example/other:1")


def planned(text: str, target: str | None = None, **kinds) -> BuildPlan:
    named = NamedContexts({context_name(name): kind for name, kind in kinds.items()})
    return plan(
        parse(text), target=target, build_args={}, platform=AMD64, build_platform=AMD64, contexts=named
    )


def base(text: str, **kinds):
    return planned(text, **kinds).target_stage.base


@pytest.mark.parametrize(
    "written",
    ["alpine", "alpine:latest", "library/alpine", "docker.io/library/alpine", "index.docker.io/alpine"],
)
def test_one_name_in_all_its_spellings(written):
    assert base(f"FROM {written}\n", alpine=IMAGE) == ImageBase("registry.example/other:1", AMD64)
    assert NamedContexts({context_name(written): FILES}).find("alpine") == ("alpine", FILES)


@pytest.mark.parametrize(
    "written", ["alpine:3", "registry.example/alpine", "scratch", "alpine@sha256:" + "a" * 64]
)
def test_another_name_is_another_image(written):
    kinds = {"alpine": IMAGE, "scratch": IMAGE, "context": IMAGE}
    assert base(f"FROM {written}\n", **kinds) in (ImageBase(written, AMD64), ScratchBase())


def test_names_with_tags_and_hosts():
    named = NamedContexts({context_name("registry.example:5000/a:v1"): FILES})
    assert named.find("registry.example:5000/a:v1") == ("registry.example:5000/a:v1", FILES)
    assert named.find("registry.example:5000/a") is None
    with pytest.raises(InvalidReferenceError):
        context_name("Not A Name")


def test_stage_of_the_name_is_replaced_and_its_instructions_are_not_carried_out():
    plan_ = planned("FROM x AS Lib\nRUN never\nCOPY --from=gone:1 / /\nFROM lib\nRUN y\n", lib=IMAGE)
    replaced = plan_.every_stage[0]
    assert (replaced.base, replaced.instructions, replaced.images) == (
        ImageBase(IMAGE.reference, AMD64),
        (),
        frozenset(),
    )
    assert plan_.target_stage.base == StageBase(0)
    assert plan_.used_contexts == {"lib"}


def test_an_earlier_stage_goes_before_a_context_only_if_it_is_none_itself():
    text = "FROM x AS a\nFROM y AS b\nCOPY --from=a / /\nCOPY --from=0 / /\nCOPY --from=c / /\n"
    plan_ = planned(text, a=FILES, c=FILES)
    assert plan_.every_stage[0].base == ContextBase("a")
    steps = evaluate(plan_, plan_.target_stage, BaseImage(RuntimeConfig())).steps
    origins = [step.source for step in steps if isinstance(step, CopyStep)]
    assert origins == [FromStage(0), FromStage(0), FromNamedContext("c")]
    assert plan_.used_contexts == {"a", "c"}


def test_files_as_a_base_are_one_step_over_nothing():
    plan_ = planned("FROM lib\nENV a=1\n", lib=FILES)
    stage = evaluate(plan_, plan_.target_stage, None)
    first = stage.steps[0]
    assert isinstance(first, CopyStep)
    assert (first.source, first.destination) == (FromNamedContext("lib"), "/")
    assert first.sources[0].path == "/"
    assert stage.config.working_dir == "/"
    assert stage.config.env_value("PATH")


def test_files_in_place_of_a_stage_that_is_the_target():
    plan_ = planned("FROM x AS lib\nRUN never\n", lib=FILES)
    assert [type(step) for step in evaluate(plan_, plan_.target_stage, None).steps] == [CopyStep]


def test_copies_and_mounts():
    text = (
        "FROM x\nCOPY --from=img /a /b\nCOPY --from=lib /a /b\nCOPY --from=none / /e/\n"
        "RUN --mount=from=img,target=/1 --mount=from=lib,source=s,target=/2 --mount=from=none,target=/3 y\n"
    )
    plan_ = planned(text, img=IMAGE, lib=FILES, none=ImageContext(""), unused=FILES)
    image, files, nothing = (
        FromImage(IMAGE.reference, "img"),
        FromNamedContext("lib"),
        FromScratch("none"),
    )
    steps = evaluate(plan_, plan_.target_stage, BaseImage(RuntimeConfig(env=(PATH,)))).steps
    assert [step.source for step in steps if isinstance(step, CopyStep)] == [image, files, nothing]
    (run,) = [step for step in steps if isinstance(step, RunStep)]
    assert [mount.source for mount in run.mounts if isinstance(mount, BindMount)] == [image, files, nothing]
    assert plan_.target_stage.images == {IMAGE.reference}
    assert plan_.used_contexts == {"img", "lib", "none"}


def test_only_what_needed_stages_use_counts_as_used():
    text = "FROM one AS a\nFROM two AS b\nFROM three\nCOPY --from=a / /\n"
    assert planned(text, one=FILES, two=FILES, three=IMAGE).used_contexts == {"one", "three"}


def test_triggers_of_a_base_image_use_contexts_too():
    plan_ = planned("FROM x\n", lib=FILES)
    needs = trigger_needs(plan_, plan_.target_stage, RuntimeConfig(on_build=("COPY --from=lib / /",)))
    assert needs.contexts == {"lib"}
    assert plan_.also_needing(0, needs.stages, needs.images, needs.contexts).used_contexts == {"lib"}


def test_triggers_of_an_image_in_place_of_a_stage_do_not_fire():
    plan_ = planned("FROM x AS a\nFROM a\nRUN y\n", a=IMAGE)
    config = RuntimeConfig(on_build=("COPY --from=missing:1 / /", "ENV fired=1"))
    assert not trigger_needs(plan_, plan_.every_stage[0], config).images
    replaced = evaluate(plan_, plan_.every_stage[0], BaseImage(config))
    assert replaced.steps == ()
    assert evaluate(plan_, plan_.target_stage, replaced).config.env_value("fired") is None
