"""What is Strake's own in a context is left out, whatever it is called and whatever .dockerignore says."""

from __future__ import annotations

import os

import pytest

from strake_builder.context.filtered import ContextFiles
from strake_builder.context.own_files import own_patterns
from strake_builder.errors import InvalidRequestError


def seen(context, work, cache=None, patterns=()) -> set[str]:
    root = str(context)
    files = ContextFiles(root, tuple(patterns)).without(
        own_patterns(root, str(work), (str(cache),) if cache else ())
    )
    ours = files.filter()
    found = {
        os.path.relpath(f"{at}/{name}", root) for at, dirs, names in os.walk(root) for name in (*dirs, *names)
    }
    return {path for path in found if ours.keep(os.fsencode(path), False)}


@pytest.mark.parametrize(
    "name", [".work", "a b", "w*rk", "[x]", "!x", "#x", "back\\slash", "?", "a^b", " x ", "déjà"]
)
@pytest.mark.parametrize("patterns", [(), ("!**",), ("*", "!keep"), ("!.work",)])
def test_a_work_directory_in_the_context(tmp_path, name, patterns):
    work = tmp_path / name / "inner"
    (work / "strake-build-1/roots").mkdir(parents=True)
    (work / "strake-build-1/roots/file").touch()
    (tmp_path / "keep").touch()
    (tmp_path / "inner").touch()
    kept = seen(tmp_path, work, patterns=patterns)
    assert "keep" in kept
    assert not [path for path in kept if path.startswith(f"{name}/inner")]
    assert ("inner" in kept) == ("*" not in patterns)


def test_the_context_itself_is_the_work_directory(tmp_path):
    (tmp_path / "strake-build-abc").mkdir()
    (tmp_path / "strake-build-abc/file").touch()
    (tmp_path / "strake-build-abc.lock").touch()
    (tmp_path / "strake.yaml").touch()
    assert seen(tmp_path, tmp_path) == {"strake.yaml"}


def test_links_and_relative_paths_lead_to_the_same(tmp_path, monkeypatch):
    (tmp_path / "context/real").mkdir(parents=True)
    (tmp_path / "context/real/file").touch()
    (tmp_path / "link").symlink_to("context/real")
    monkeypatch.chdir(tmp_path)
    assert seen(tmp_path / "context", "link") == set()
    assert seen(tmp_path / "context", "context/real/../real") == set()


def test_elsewhere_nothing_is_left_out(tmp_path):
    (tmp_path / "context/file").parent.mkdir()
    (tmp_path / "context/file").touch()
    for work in (tmp_path / "work", tmp_path, tmp_path / "context-2", "/"):
        assert seen(tmp_path / "context", work) == {"file"}


def test_a_cache_directory_in_the_context(tmp_path):
    (tmp_path / "cache/layers").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert seen(tmp_path, "/elsewhere", tmp_path / "cache") == {"file"}
    with pytest.raises(InvalidRequestError, match="cache directory is the context"):
        own_patterns(str(tmp_path), "/elsewhere", (str(tmp_path),))
