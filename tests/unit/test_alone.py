"""Which tests must have the operator alone."""

from __future__ import annotations

import pytest

from tests import alone as reading

FIXTURE = """
@pytest.fixture{arguments}
def settings(platform):
    with platform.changed(STRAKE_ISOLATION="chroot"):
        yield

def test_of_the_settings(settings, namespace): ...
def test_of_others(namespace): ...
def test_of_the_fixture_behind(behind): ...

@pytest.fixture
def behind(settings): ...
"""
ALL = {"test_of_the_settings", "test_of_others", "test_of_the_fixture_behind"}


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Read the text of a test file."""
    monkeypatch.setattr(reading, "ROOT", tmp_path)

    def read(text: str) -> set[str]:
        (tmp_path / "test_a.py").write_text(text)
        reading.alone.cache_clear()
        return set(reading.alone("test_a.py"))

    yield read
    reading.alone.cache_clear()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def test_a(namespace): ...", set()),
        ("def test_a(alone, namespace): ...\ndef test_b(namespace): ...", {"test_a"}),
        ("def test_a(changing, namespace): ...", {"test_a"}),
        ("def test_a(*, changing): ...", {"test_a"}),
        ('@pytest.mark.usefixtures("other", "alone")\ndef test_a(namespace): ...', {"test_a"}),
        ('pytestmark = pytest.mark.usefixtures("alone")\ndef test_a(): ...', {"test_a"}),
        ('pytestmark = [pytest.mark.x, pytest.mark.usefixtures("alone")]\ndef test_a(): ...', {"test_a"}),
        ("def test_a(platform):\n    with platform.changed(A='b'): ...", {"test_a"}),
        (FIXTURE.format(arguments=""), ALL - {"test_of_others"}),
        (FIXTURE.format(arguments='(scope="module")'), ALL - {"test_of_others"}),
        (FIXTURE.format(arguments='(scope="module", autouse=True)'), ALL),
    ],
)
def test_its_fixtures_tell(names, text, found):
    assert names(text) == found
