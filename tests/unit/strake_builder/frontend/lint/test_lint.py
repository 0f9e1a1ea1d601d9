"""Lint: each rule, its switches, and the three forms of the answer."""

from __future__ import annotations

import json

import pytest

from strake_builder.frontend import DockerfileRefusedError, parse
from strake_builder.frontend.lint import RULES, as_json, as_sarif, as_text, fails_on_warnings, lint
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_oci.spec.image import RuntimeConfig

PLAIN = {"base": RuntimeConfig(env=("PATH=/bin", "HOME=/root"))}

# Rule, the file, the line it must point at, and the same file put right.
CASES = [
    ("StageNameCasing", "FROM base AS Build\n", 1, "FROM base AS build\n"),
    ("FromAsCasing", "FROM base as b\n", 1, "FROM base AS b\n"),
    ("NoEmptyContinuation", "FROM base\nRUN a \\\n\n  b\n", 4, "FROM base\nRUN a \\\n  b\n"),
    ("ConsistentInstructionCasing", "FROM base\nRUN a\nrun b\n", 3, "FROM base\nRUN a\nRUN b\n"),
    ("DuplicateStageName", "FROM base AS a\nFROM base AS a\n", 2, "FROM base AS a\nFROM base AS b\n"),
    ("ReservedStageName", "FROM base AS context\n", 1, "FROM base AS contexts\n"),
    ("JSONArgsRecommended", "FROM base\nCMD a\n", 2, 'FROM base\nCMD ["a"]\n'),
    ("MaintainerDeprecated", "FROM base\nMAINTAINER me\n", 2, "FROM base\nLABEL maintainer=me\n"),
    ("UndefinedArgInFrom", "FROM base${nope}\n", 1, "ARG nope\nFROM base${nope}\n"),
    ("UndefinedVar", "FROM base\nCOPY $src /\n", 2, "FROM base\nARG src\nCOPY $src /\n"),
    ("MultipleInstructionsDisallowed", 'FROM base\nCMD ["a"]\nCMD ["b"]\n', 2, 'FROM base\nCMD ["b"]\n'),
    ("WorkdirRelativePath", "FROM base\nWORKDIR a\n", 2, "FROM base\nWORKDIR /a\nWORKDIR b\n"),
    ("LegacyKeyValueFormat", "FROM base\nENV a b\n", 2, "FROM base\nENV a=b\n"),
    ("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM base\n", 1, "FROM base\n"),
    ("SecretsUsedInArgOrEnv", "FROM base\nARG API_TOKEN\n", 2, "FROM base\nARG API_TOKEN_FILE\n"),
    ("InvalidDefaultArgInFrom", "ARG t\nFROM base:$t\n", 2, "ARG t=1\nFROM base:$t\n"),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/arm64 base\n",
        1,
        "FROM --platform=linux/arm64 base AS arm64\n",
    ),
    ("CopyIgnoredFile", "FROM base\nCOPY secret.key /\n", 2, "FROM base\nCOPY public.key /\n"),
    ("ExposeProtoCasing", "FROM base\nEXPOSE 80/TCP\n", 2, "FROM base\nEXPOSE 80/tcp\n"),
    ("ExposeInvalidFormat", "FROM base\nEXPOSE 80:80\n", 2, "FROM base\nEXPOSE 80\n"),
    (
        "InvalidDefinitionDescription",
        "# check=experimental=all\n# other\nFROM base AS b\n",
        3,
        "# check=experimental=all\n# b builds\nFROM base AS b\n",
    ),
]


def found(text: str, **options) -> list[tuple[str, int]]:
    options = {"base_configs": PLAIN, "ignore": IgnoreMatcher(["secret.*"]), **options}
    if "base:$t" in text or "base${nope}" in text:
        options["build_args"] = {"t": "2", "nope": ""}
    return [(w.rule.name, w.span.first) for w in lint(parse(text), **options)]


def test_every_rule_has_a_case():
    assert {rule for rule, *_ in CASES} == RULES.keys()


@pytest.mark.parametrize(("rule", "wrong", "line", "right"), CASES, ids=[case[0] for case in CASES])
def test_rule_fires_at_its_line_and_not_on_the_mended_file(rule, wrong, line, right):
    assert (rule, line) in found(wrong)
    assert rule not in {name for name, _ in found(right)}


@pytest.mark.parametrize(("rule", "wrong", "line", "right"), CASES, ids=[case[0] for case in CASES])
def test_rule_is_switched_off_by_the_file(rule, wrong, line, right):
    if RULES[rule].experimental:
        assert not found(wrong.replace("# check=experimental=all\n", ""))
        return
    assert rule not in {name for name, _ in found(f"# check=skip={rule}\n{wrong}")}
    assert not found(f"# check=skip=all\n{wrong}")


def test_rule_is_switched_off_above_one_instruction():
    text = "FROM base\n# check=skip=JSONArgsRecommended\nCMD a\nENTRYPOINT b\n"
    assert found(text) == [("JSONArgsRecommended", 4)]


def test_variables_of_an_unknown_base_are_not_called_undefined():
    text = "FROM base\nENV p=$JAVA_HOME/bin q=$PAHT\n"
    assert found(text) == [("UndefinedVar", 2)] * 2
    (warning,) = lint(parse(text))
    assert "did you mean $PATH?" in warning.message


def test_only_stages_of_the_target_are_checked_when_one_is_named():
    text = "FROM base AS a\nCMD a\nFROM base AS b\nCMD b\n"
    assert found(text, target="b") == [("JSONArgsRecommended", 4)]
    assert len(found(text)) == 2


def test_file_may_ask_for_failure():
    assert fails_on_warnings(parse("# check=error=true\nFROM base\n"))
    assert not fails_on_warnings(parse("FROM base\n"))


def test_text_names_position_rule_page_and_shows_the_lines():
    shown = as_text(lint(parse("FROM base\nCMD a \\\n  b\n", "app/Dockerfile")))
    assert shown.startswith("app/Dockerfile:2: warning: JSON arguments recommended for CMD")
    assert "[JSONArgsRecommended]" in shown
    assert "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/" in shown
    assert "    2 | CMD a \\\n    3 |   b" in shown


def test_json_has_the_form_of_docker_build_check():
    document = json.loads(as_json(lint(parse("FROM base\nCMD a\n"))))
    (warning,) = document["warnings"]
    assert warning["ruleName"] == "JSONArgsRecommended"
    assert warning["location"] == {"sourceIndex": 0, "ranges": [{"start": {"line": 2}, "end": {"line": 2}}]}
    assert document["sources"] == [{"filename": "Dockerfile"}]


def test_refusals_stand_in_json_and_sarif():
    with pytest.raises(DockerfileRefusedError) as caught:
        parse("FROM base\nRUNN x\n")
    assert json.loads(as_json((), caught.value))["buildError"]["problems"][0]["line"] == 2
    (run,) = json.loads(as_sarif((), caught.value, version="1"))["runs"]
    assert run["results"][0]["level"] == "error"


def test_sarif_describes_each_rule_once():
    log = json.loads(as_sarif(lint(parse("FROM base\nCMD a\nENTRYPOINT b\n")), version="1.2"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["JSONArgsRecommended"]
    assert len(run["results"]) == 2
    region = run["results"][1]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "endLine": 3}
