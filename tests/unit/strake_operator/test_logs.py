import json
import logging

import pytest

from strake_operator.errors import SettingsError
from strake_operator.logs import about, set_up


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def logged(capsys, environment, write):
    set_up(environment)
    write(logging.getLogger("strake_operator.example"))
    return capsys.readouterr().err


def test_text_is_for_people(capsys):
    line = logged(capsys, {}, lambda log: log.info("starting %s", "app-1"))
    assert line.endswith(" INFO starting app-1\n")


def test_json_has_an_object_a_line_with_the_build(capsys):
    def write(log):
        with about("team", "app"):
            log.warning("two\nlines")
        log.info("about none")

    first, second = logged(capsys, {"STRAKE_LOG_FORMAT": "json"}, write).splitlines()
    found = json.loads(first)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "strake_operator.example",
        "message": "two\nlines",
        "namespace": "team",
        "build": "app",
    }
    assert "namespace" not in json.loads(second)


def test_json_keeps_a_traceback_on_the_line(capsys):
    def write(log):
        known: dict[str, str] = {}
        try:
            known["missing"]
        except KeyError:
            log.exception("reconciling failed")

    (line,) = logged(capsys, {"STRAKE_LOG_FORMAT": "json"}, write).splitlines()
    assert json.loads(line)["exception"].endswith("KeyError: 'missing'")


@pytest.mark.parametrize(
    "environment", [{"STRAKE_LOG_FORMAT": "xml"}, {"STRAKE_LOG_LEVEL": "LOUD"}], ids=["format", "level"]
)
def test_settings_that_make_no_sense_are_refused(environment):
    (name,) = environment
    with pytest.raises(SettingsError, match=name):
        set_up(environment)


def test_the_level_may_be_spelled_small(capsys):
    assert "more" in logged(capsys, {"STRAKE_LOG_LEVEL": "debug"}, lambda log: log.debug("more"))
