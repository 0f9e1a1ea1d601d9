"""Evaluation: what the executor gets, and what stays in the image."""

from __future__ import annotations

import pytest

from strake_builder.frontend import BaseImage, DockerfileRefusedError, evaluate, trigger_needs
from strake_builder.frontend.model.chown import Ownership
from strake_builder.frontend.model.steps import (
    AddStep,
    ConfigStep,
    CopyStep,
    FromContext,
    FromImage,
    FromScratch,
    FromStage,
    GitSource,
    HeredocFile,
    PathSource,
    RunStep,
    UrlSource,
    WorkdirStep,
)
from strake_oci.spec.image import Healthcheck, RuntimeConfig
from tests.fixtures.narrow import instance
from tests.unit.strake_builder.frontend.stages import PATH, evaluated, planned, step


def refused(text: str, **options) -> str:
    with pytest.raises(DockerfileRefusedError) as caught:
        evaluated(text, **options)
    return str(caught.value)


class TestVariables:
    def test_an_instruction_sees_those_before_its_own_line(self):
        config = evaluated("FROM base\nENV a=1\nENV a=2 b=$a\nENV c=$a\n").config
        assert config.env[1:] == ("a=2", "b=1", "c=2")

    def test_arguments_are_in_the_process_and_not_in_the_image(self):
        run = step("RUN x", "ARG a=1", "ENV e=2", "ARG none")
        assert isinstance(run, RunStep)
        assert set(run.environment) == {PATH, "a=1", "e=2"}
        assert run.config.env == (PATH, "e=2")

    def test_history_of_run_shows_the_arguments_in_scope(self):
        assert step("RUN x", "ARG a=1", "ARG none").created_by == "RUN |2 a=1 none= /bin/sh -c x # buildkit"

    def test_build_argument_wins_over_default_and_the_later_one_over_env(self):
        run = step("RUN x", "ENV a=env", "ARG a=default", a="given")
        assert isinstance(run, RunStep)
        assert "a=given" in run.environment

    def test_global_argument_is_taken_by_a_bare_arg_only(self):
        text = "ARG v=1\nFROM base\nENV before=$v\nARG v\nENV after=$v\n"
        assert evaluated(text).config.env[1:] == ("before=", "after=1")

    def test_stage_on_a_stage_inherits_its_arguments(self):
        assert evaluated("FROM base AS p\nARG a=1\nFROM p\nENV b=$a\n").config.env[1:] == ("b=1",)

    def test_proxies_reach_the_process_and_nothing_else(self):
        run = step("RUN x", HTTP_PROXY="http://u:p@h", no_proxy="a,b")
        assert isinstance(run, RunStep)
        assert run.proxy_environment == (
            *("HTTP_PROXY=http://u:p@h", "http_proxy=http://u:p@h"),
            *("NO_PROXY=a,b", "no_proxy=a,b"),
        )
        assert not any("http://u:p@h" in text for text in (*run.environment, run.created_by, *run.config.env))

    def test_required_variable_names_itself_and_the_way_out(self):
        message = refused('FROM base\nENV a="${tok:?set it}"\n')
        assert "tok: set it" in message
        assert "--build-arg tok=" in message
        assert "Dockerfile:2:" in message

    def test_doubling_lines_end_in_a_refusal_not_in_memory(self):
        lines = "ENV v=xxxxxxxxxx\n" + "ENV v=$v$v$v$v$v$v$v$v\n" * 40
        assert "too-large" in refused(f"FROM base\n{lines}")

    def test_many_large_variables_end_in_a_refusal(self):
        lines = "ENV v=" + "x" * 900_000 + "\n" + "".join(f"ENV v{n}=$v\n" for n in range(60))
        assert "too-large" in refused(f"FROM base\n{lines}")


class TestRun:
    def test_shell_form_goes_through_the_shell_in_force(self):
        run = step("RUN a  $b", 'SHELL ["/bin/bash", "-c"]')
        assert isinstance(run, RunStep)
        assert run.command.argv == ("/bin/bash", "-c", "a  $b")

    def test_exec_form_does_not_expand(self):
        run = step('RUN ["a", "$PATH"]')
        assert isinstance(run, RunStep)
        assert run.command.argv == ("a", "$PATH")

    def test_lone_heredoc_is_the_script(self):
        run = step("RUN <<-E\n\techo $a\n\tE")
        assert isinstance(run, RunStep)
        assert run.command.argv[-1] == "echo $a\n"
        assert run.files == ()

    def test_heredoc_with_interpreter_becomes_a_file(self):
        run = step("RUN <<E\n#!/usr/bin/perl\nprint;\nE")
        assert isinstance(run, RunStep)
        assert run.command.argv[-1] == "/dev/pipes/E"
        assert run.files == (HeredocFile("E", "#!/usr/bin/perl\nprint;\n"),)

    def test_heredoc_among_words_is_left_to_the_shell(self):
        run = step("RUN cat <<E | sort\nb\nE")
        assert isinstance(run, RunStep)
        assert run.command.argv[-1] == "cat <<E | sort\nb\nE"

    @pytest.mark.parametrize("name", ["../../etc/x", "a/b", ".."])
    def test_script_cannot_be_written_elsewhere(self, name):
        assert "cannot be the name of a script" in refused(f"FROM base\nRUN <<{name}\n#!/bin/sh\n{name}\n")

    def test_where_and_as_whom(self):
        run = step("RUN x", "USER u:g", "WORKDIR /a/../b/")
        assert isinstance(run, RunStep)
        assert (run.user, run.working_dir, run.config.working_dir) == ("u:g", "/b", "/a/../b/")

    def test_network_and_security(self):
        run = step("RUN --network=none --security=insecure x")
        assert isinstance(run, RunStep)
        assert (run.network, run.security) == ("none", "insecure")

    def test_empty_exec_form_is_refused(self):
        assert "names no program" in refused("FROM base\nRUN []\n")


class TestCopy:
    def test_paths_are_rooted_and_cannot_leave(self):
        copy = step("COPY ../../x ./y/ sub/", "WORKDIR /w")
        assert isinstance(copy, CopyStep)
        assert copy.sources == (PathSource("/x"), PathSource("/y"))
        assert (copy.destination, copy.source) == ("/w/sub/", FromContext())

    @pytest.mark.parametrize(
        ("written", "destination"),
        [
            ("/d", "/d"),
            ("/d/", "/d/"),
            ("/d/.", "/d/"),
            (".", "/w/"),
            ("./", "/w/"),
            ("/", "/"),
            ("../..", "/"),
        ],
    )
    def test_trailing_slash_keeps_its_meaning(self, written, destination):
        copy = step(f"COPY a {written}", "WORKDIR /w")
        assert isinstance(copy, CopyStep)
        assert copy.destination == destination

    def test_owner_mode_and_excludes(self):
        copy = step(
            "COPY --chown=$u:g --chmod=$m --link=false --exclude=*.o --exclude=x a b /d/", "ENV u=me m=755"
        )
        assert isinstance(copy, CopyStep)
        assert (copy.chown, copy.chmod, copy.excludes) == (Ownership("me", "g"), "755", ("*.o", "x"))
        assert copy.created_by == "COPY --chown=me:g --chmod=755 a b /d/ # buildkit"

    def test_parents_splits_at_the_pivot(self):
        copy = step("COPY --parents a/./b/c x/*.h /d/")
        assert isinstance(copy, CopyStep)
        assert copy.sources == (
            PathSource("/a", include="b/c", required="/a/b/c"),
            PathSource("/", include="x/*.h"),
        )

    def test_heredocs_are_files_expanded_unless_quoted(self):
        copy = step("COPY <<A <<'B' /d/\n$v \\$v \"q\"\nA\n$v\nB", "ENV v=1")
        assert isinstance(copy, CopyStep)
        assert copy.files == (HeredocFile("A", '1 $v "q"\n'), HeredocFile("B", "$v\n"))

    def test_heredoc_cannot_be_written_elsewhere(self):
        assert "cannot be the name of a file" in refused("FROM base\nCOPY <<a/../../b /d/\nx\na/../../b\n")

    def test_origins(self):
        text = "FROM base AS a\nFROM base\nCOPY --from={} /x /y\n"
        found = [
            instance(evaluated(text.format(name)).steps[-1], CopyStep).source
            for name in ("A", "0", "img:1", "scratch")
        ]
        assert found == [FromStage(0), FromStage(0), FromImage("img:1"), FromScratch()]


class TestAdd:
    def test_url_with_checksum(self):
        add = step(f"ADD --checksum=sha256:{'a' * 64} --unpack https://h/p/f%20x.tgz?q=1 /d/")
        assert isinstance(add, AddStep)
        assert add.sources == (UrlSource("https://h/p/f%20x.tgz?q=1", "f x.tgz", f"sha256:{'a' * 64}"),)
        assert add.unpack is True

    @pytest.mark.parametrize("url", ["https://h", "https://h/", "http://h/..", "http://[", "https://h/%00"])
    def test_url_without_a_usable_name(self, url):
        add = step(f"ADD {url} /d/")
        assert isinstance(add, AddStep)
        assert add.sources == (UrlSource(url, "__unnamed__"),)

    def test_git_fragment_and_query(self):
        add = step("ADD https://h/r.git#v1:a/../b git@h:o/r.git ssh://git@h/r?submodules=false&tag=v2 /d")
        assert isinstance(add, AddStep)
        assert add.sources == (
            GitSource("https://h/r.git", ref="v1", subdir="b"),
            GitSource("git@h:o/r.git"),
            GitSource("ssh://git@h/r", ref="refs/tags/v2", submodules=False),
        )

    @pytest.mark.parametrize(
        "source",
        [
            "https://h/r.git?odd=1",
            "https://h/r.git?ref=a&ref=b",
            "https://h/r.git?ref=",
            "https://h/r.git?ref=b#a",
            "https://h/r.git?tag=a&branch=b",
            "https://h/r.git?submodules=perhaps",
            "https://h/r.git?checksum=xyz",
        ],
    )
    def test_git_query_that_contradicts_itself_is_refused(self, source):
        assert "Git" in refused(f"FROM base\nADD {source} /d\n")

    def test_keep_git_dir_must_agree(self):
        assert "inconsistent" in refused(
            "FROM base\nADD --keep-git-dir=false https://h/r.git?keep-git-dir=1 /d\n"
        )


class TestMetadata:
    def test_workdir_makes_a_directory_except_for_the_root(self):
        made = step("WORKDIR y", "USER u", "WORKDIR /x")
        assert isinstance(made, WorkdirStep)
        assert (made.path, made.user, made.created_by) == ("/x/y", "u", "WORKDIR /x/y")
        assert isinstance(step("WORKDIR /"), ConfigStep)

    def test_entrypoint_drops_the_command_of_the_base_only(self):
        base = RuntimeConfig(cmd=("b",))
        assert evaluated('FROM base\nENTRYPOINT ["e"]\n', base=base).config.cmd is None
        assert evaluated('FROM base\nCMD ["c"]\nENTRYPOINT ["e"]\n', base=base).config.cmd == ("c",)

    def test_healthcheck_replaces_as_a_whole(self):
        base = RuntimeConfig(healthcheck=Healthcheck(("CMD", "x"), retries=9))
        config = evaluated("FROM base\nHEALTHCHECK --interval=1m30s CMD a\n", base=base).config
        assert config.healthcheck == Healthcheck(("CMD-SHELL", "a"), interval=90_000_000_000)

    def test_history_is_worded_as_buildkit_does(self):
        before = ("LABEL a=1 b='2 3'", "EXPOSE 80 53/udp", 'CMD ["x", "\\"\\n"]', "USER u", "STOPSIGNAL 9")
        stage = evaluated("\n".join(("FROM base", *before)))
        assert [step.created_by for step in stage.steps] == [
            "LABEL a=1 b=2 3",
            "EXPOSE [53/udp 80/tcp]",
            'CMD ["x" "\\"\\n"]',
            "USER u",
            "STOPSIGNAL 9",
        ]

    def test_maintainer_is_the_author(self):
        assert evaluated("FROM base\nMAINTAINER me\n").author == "me"

    def test_base_without_path_gets_one(self):
        assert evaluated("FROM base\n", base=RuntimeConfig()).config.env_value("PATH")

    def test_ports_by_the_million_are_refused(self):
        assert "too-large" in refused("FROM base\nEXPOSE " + "0-65535 " * 10 + "\n")

    def test_instructions_by_the_thousand_are_refused(self):
        assert "too-large" in refused("FROM base\n" + "ENV a=b\n" * 4001)


class TestTriggers:
    BASE = RuntimeConfig(env=(PATH,), on_build=("ENV a=1", "COPY <<E /x\n$a\nE", "RUN y"))

    def test_fire_first_and_once(self):
        first = evaluated("FROM base AS s\nRUN z\n", base=self.BASE)
        assert [s.origin.is_trigger for s in first.steps] == [True, True, True, False]
        assert {s.origin.span.first for s in first.steps[:3]} == {1}
        assert first.config.on_build == ()
        assert len(evaluated("FROM base AS s\nFROM s\nRUN z\n", base=self.BASE).steps) == 1

    def test_of_a_stage_stay_with_it_and_fire_in_the_next(self):
        text = "FROM base AS p\nONBUILD ENV a=1\nFROM p AS q\nFROM q\n"
        assert evaluated(text, target="p").config.on_build == ("ENV a=1",)
        assert evaluated(text, target="q").config.env_value("a") == "1"
        assert evaluated(text).steps == ()

    @pytest.mark.parametrize(
        "trigger", ["", "FROM x", "MAINTAINER x", "RUNN x", "RUN a\nRUN b", "RUN <<E\nx"]
    )
    def test_broken_one_is_refused_with_the_from_line(self, trigger):
        message = refused("FROM base\n", base=RuntimeConfig(on_build=(trigger,)))
        assert "Dockerfile:1:" in message
        assert "ONBUILD trigger" in message

    def test_needs_are_found_from_the_config(self):
        plan = planned("FROM base AS lib\nFROM base\n")
        config = RuntimeConfig(on_build=("COPY --from=lib /a /b", "RUN --mount=from=img,target=/x y"))
        needs = trigger_needs(plan, plan.target_stage, config)
        assert (set(needs.stages), needs.images) == ({0}, {"img"})

    def test_need_of_a_later_stage_is_refused(self):
        plan = planned("FROM base AS a\nFROM base AS b\n")
        with pytest.raises(DockerfileRefusedError, match="not built before"):
            trigger_needs(plan, plan.every_stage[0], RuntimeConfig(on_build=("COPY --from=b /a /b",)))

    def test_by_the_thousand_are_refused(self):
        plan = planned("FROM base\n")
        with pytest.raises(DockerfileRefusedError, match="1000 are allowed"):
            evaluate(plan, plan.target_stage, BaseImage(RuntimeConfig(on_build=("ENV a=b",) * 1001)))
