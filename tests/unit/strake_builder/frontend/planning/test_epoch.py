"""What SOURCE_DATE_EPOCH is: a number, or the time of something that has one, as BuildKit reads it."""

from __future__ import annotations

import pytest

from strake_builder.errors import InvalidRequestError
from strake_builder.frontend import BaseImage, DockerfileRefusedError, evaluate, parse, plan
from strake_builder.frontend.model.moments import Moment, OfContext, OfNamedContext, OfRemote
from strake_builder.frontend.model.named_contexts import FilesContext, NamedContexts
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.frontend.model.steps import GitSource, UrlSource
from strake_oci.spec.image import RuntimeConfig
from tests.unit.strake_builder.frontend.stages import AMD64

SHOWN = "FROM scratch AS last\nARG SOURCE_DATE_EPOCH\nLABEL at=$SOURCE_DATE_EPOCH\n"
STAGE = "FROM scratch AS src\nADD https://host.example/a.tar /\n"
FILE = UrlSource("https://host.example/a.tar", "a.tar")


class Clock:
    """Tells one time of everything, and remembers of what it was asked."""

    def __init__(self, seconds: int | None) -> None:
        self.seconds = seconds
        self.asked: list[Moment] = []

    def __call__(self, moment: Moment) -> int | None:
        self.asked.append(moment)
        return self.seconds


def planned(text: str, clock: Clock | None = None, *, contexts=(), **arguments: str) -> BuildPlan:
    return plan(
        parse(text),
        target=None,
        build_args=arguments,
        platform=AMD64,
        build_platform=AMD64,
        contexts=NamedContexts({name: FilesContext() for name in contexts}),
        time_of=clock or Clock(None),
    )


def label(found: BuildPlan) -> str:
    return evaluate(found, found.target_stage, BaseImage(RuntimeConfig())).config.labels["at"]


def refusal(text: str, **given) -> str:
    with pytest.raises(DockerfileRefusedError) as refused:
        planned(text, **given)
    return str(refused.value.problems[0])


def test_a_default_in_the_dockerfile_is_the_time_of_the_image():
    found = planned(f"ARG SOURCE_DATE_EPOCH=0007\n{SHOWN}")
    assert (found.epoch, found.moment, label(found)) == (7, None, "7")


@pytest.mark.parametrize(("given", "epoch", "shown"), [("8", 8, "8"), ("", None, "")])
def test_a_build_argument_counts_before_it_even_if_it_is_empty(given, epoch, shown):
    found = planned(f"ARG SOURCE_DATE_EPOCH=7\n{SHOWN}", SOURCE_DATE_EPOCH=given)
    assert (found.epoch, label(found)) == (epoch, shown)


def test_the_argument_of_a_stage_is_no_time_of_the_image():
    found = planned("FROM scratch\nARG SOURCE_DATE_EPOCH=7\nLABEL at=$SOURCE_DATE_EPOCH\n")
    assert (found.epoch, label(found)) == (None, "7")


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize(
    ("value", "contexts", "moment"),
    [
        ("context", ("context",), OfContext()),
        ("src", (), OfRemote("src", FILE)),
        ("SRC", (), OfRemote("src", FILE)),
        ("src", ("src",), OfNamedContext("src")),
        ("docker.io/library/lib:latest", ("lib",), OfNamedContext("lib")),
    ],
)
def test_names_and_what_they_are_of(value, contexts, moment, in_file):
    clock = Clock(1234)
    head = f"ARG SOURCE_DATE_EPOCH={value}\n" if in_file else ""
    given = {} if in_file else {"SOURCE_DATE_EPOCH": value}
    found = planned(head + STAGE + SHOWN, clock, contexts=contexts, **given)
    assert clock.asked == [moment]
    assert (found.epoch, found.moment, label(found)) == (1234, moment, "1234")


def test_a_named_context_that_tells_the_time_is_used():
    assert planned(f"ARG SOURCE_DATE_EPOCH=lib\n{SHOWN}", contexts=("lib",)).used_contexts == {"lib"}


def test_without_a_time_the_argument_is_not_set():
    shown = "FROM scratch AS last\nARG SOURCE_DATE_EPOCH=5\nLABEL at=$SOURCE_DATE_EPOCH\n"
    assert label(planned(shown, SOURCE_DATE_EPOCH="context")) == "5"
    assert label(planned(f"ARG SOURCE_DATE_EPOCH=context\n{SHOWN}")) == ""


def test_of_two_stages_of_a_name_the_first_counts():
    clock = Clock(1)
    planned(STAGE + STAGE.replace("a.tar", "b.tar") + SHOWN, clock, SOURCE_DATE_EPOCH="src")
    assert clock.asked == [OfRemote("src", FILE)]


def test_arguments_in_a_stage_are_expanded_and_global_ones_hold_without_being_declared():
    clock = Clock(1)
    text = (
        "ARG HOST=host.example\nARG BASE=scratch\nFROM $BASE AS src\nARG NAME=a\nARG SUM\nARG ARCH=$TARGETARCH\n"
        "ADD --checksum=$SUM https://$HOST/$ARCH/$NAME /\n"
    )
    checksum = f"sha256:{'0' * 64}"
    planned(text + SHOWN, clock, SOURCE_DATE_EPOCH="src", NAME="b", SUM=checksum)
    assert clock.asked == [OfRemote("src", UrlSource("https://host.example/amd64/b", "b", checksum))]


def test_a_repository():
    clock = Clock(1)
    text = "FROM scratch AS src\nADD --keep-git-dir=true https://host.example/a.git#v1:sub /\n"
    planned(text + SHOWN, clock, SOURCE_DATE_EPOCH="src")
    source = GitSource("https://host.example/a.git", "v1", "sub", keep_git_dir=True)
    assert clock.asked == [OfRemote("src", source)]


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        ("FROM alpine AS src\nADD https://host.example/a /\n", 2, "it is FROM alpine"),
        ("FROM last AS src\nADD https://host.example/a /\n", 2, "it is FROM last"),
        ("FROM scratch AS src\n", 2, "it has no ADD"),
        ("FROM scratch AS src\nADD a /\n", 3, "its ADD is of a path"),
        ("FROM scratch AS src\nADD https://host.example/a b /x/\n", 3, "other than one source"),
        ("FROM scratch AS src\nADD <<E /\nx\nE\n", 3, "other than one source"),
        (
            "FROM scratch AS src\nADD https://host.example/a /\nADD https://host.example/b /\n",
            4,
            "a second ADD",
        ),
        ("FROM scratch AS src\nADD https://host.example/a /\nRUN x\n", 4, "it has RUN"),
        ("FROM scratch AS src\ncopy a /\n", 3, "it has COPY"),
        ("FROM scratch AS src\nADD --checksum=x https://host.example/a /\n", 3, "invalid checksum"),
        ("FROM scratch AS src\nADD https://host.example/${x:?gone} /\n", 3, "gone"),
    ],
)
def test_a_stage_that_does_more_than_fetch_one_thing_is_refused_where_it_does(lines, line, why):
    text = f"ARG SOURCE_DATE_EPOCH=src\n{lines}FROM scratch\n"
    told = refusal(text)
    assert told.startswith(f"Dockerfile:{line}:")
    assert why in told


@pytest.mark.parametrize("value", ["-1", "+1", "1.5", "9" * 12, "/x"])
def test_a_default_that_is_no_time_is_refused_where_it_stands(value):
    told = refusal(f"ARG A\nARG SOURCE_DATE_EPOCH={value}\nFROM scratch\n")
    assert told.startswith("Dockerfile:2:5: SOURCE_DATE_EPOCH is a whole number of seconds since 1970")


def test_a_default_that_nothing_is_called_is_refused_with_a_guess():
    told = refusal(f"ARG SOURCE_DATE_EPOCH=scr\n{STAGE}")
    assert told.startswith(
        "Dockerfile:1:5: SOURCE_DATE_EPOCH is 'scr', and there is no named context and no stage"
    )
    assert "src" in told


@pytest.mark.parametrize("value", ["scratch", "yesterday", "-1"])
def test_a_build_argument_that_means_nothing_is_nobody_elses_mistake(value):
    with pytest.raises(InvalidRequestError, match="the build argument SOURCE_DATE_EPOCH"):
        planned(f"ARG SOURCE_DATE_EPOCH=7\n{SHOWN}", SOURCE_DATE_EPOCH=value)
