"""What a release says of itself: a version's section, and how Unreleased becomes one."""

from __future__ import annotations

from datetime import date

import pytest

from release.files import ReleaseError
from release.notes import notes, released, section, sections

DAY = date(2027, 1, 2)
CHANGELOG = """\
# Changelog

The form.

## Unreleased

### Added

- A page ([docs/new.md](docs/new.md#part), [elsewhere](https://example.com/x)).

## [0.1.0] - 2026-12-01

### Added

- The first.
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nSource = "https://strake.dev/source"\n')
    return tmp_path


def test_each_section_has_its_text_alone():
    found = sections(CHANGELOG)
    assert list(found) == ["Unreleased", "0.1.0"]
    assert found["0.1.0"] == "### Added\n\n- The first."


def test_what_is_unreleased_becomes_the_version_and_nothing_is_unreleased():
    after = released(CHANGELOG, "0.2.0", DAY)
    assert "## Unreleased\n\n## 0.2.0 - 2027-01-02\n\n### Added\n\n- A page" in after
    found = sections(after)
    assert list(found) == ["Unreleased", "0.2.0", "0.1.0"]
    assert (found["Unreleased"], found["0.1.0"]) == ("", sections(CHANGELOG)["0.1.0"])
    assert found["0.2.0"] == sections(CHANGELOG)["Unreleased"]


def test_a_version_is_released_once():
    with pytest.raises(ReleaseError, match=r"has a section for 0\.1\.0 already: choose the next version"):
        released(CHANGELOG, "0.1.0", DAY)


def test_nothing_is_no_release():
    once = released(CHANGELOG, "0.2.0", DAY)
    with pytest.raises(ReleaseError, match="nothing under Unreleased"):
        released(once, "0.3.0", DAY)


def test_a_version_without_a_section_has_no_notes(tree):
    with pytest.raises(ReleaseError, match=r"run python -m release prepare 0\.2\.0"):
        section(tree, "0.2.0")


def test_links_lead_to_the_version(tree):
    (tree / "CHANGELOG.md").write_text(released(CHANGELOG, "0.2.0", DAY))
    text = notes(tree, "0.2.0", "registry.test/strake")
    assert text.startswith("# Strake 0.2.0\n")
    assert (
        "(https://strake.dev/source/blob/v0.2.0/docs/new.md#part), [elsewhere](https://example.com/x)" in text
    )
    assert "oci://registry.test/strake/charts/strake --version 0.2.0 " in text
    assert "The first" not in text


def test_a_draft_tells_that_it_is_one(tree):
    text = notes(tree, "0.2.0", "registry.test/strake", is_draft=True)
    assert text.startswith("# Strake 0.2.0 (draft)\n")
    assert "https://strake.dev/source/blob/main/docs/new.md#part" in text
