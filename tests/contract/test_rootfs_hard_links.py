"""Names of one file on every rootfs backend; where overlay parts them, the test says so."""

from __future__ import annotations

import os

import pytest

from tests.fixtures.content.snapshots import READ_OR_NOT, layer_of, make_layer

LINK = b"1"


@pytest.fixture(params=READ_OR_NOT)
def way(request):
    return request.param


@pytest.fixture
def kind(way):
    return way[0]


@pytest.fixture
def step(way, tmp_path):
    kind, is_read = way
    work = tmp_path / "work"
    work.mkdir()
    return lambda lower, act, **options: layer_of(kind, work, lower, act, is_read=is_read, **options)


def kinds(members) -> dict[str, tuple[bytes, str]]:
    return {member.name: (member.kind, member.target) for member in members}


def test_new_names_of_a_new_file(step):
    def act(root):
        with open(f"{root}/one", "w") as file:
            file.write("1")
        os.makedirs(f"{root}/d/e")
        os.link(f"{root}/one", f"{root}/d/e/two")
        os.link(f"{root}/one", f"{root}/three")

    seen = kinds(step([], act))
    assert seen["d/e/two"] == (b"0", "")
    assert seen["one"] == seen["three"] == (LINK, "d/e/two")


def test_links_and_pipes_have_several_names_too(step):
    def act(root):
        os.symlink("x", f"{root}/ln")
        os.link(f"{root}/ln", f"{root}/ln2", follow_symlinks=False)
        os.mkfifo(f"{root}/p")
        os.link(f"{root}/p", f"{root}/p2")

    seen = kinds(step([], act))
    assert seen["ln2"] == (LINK, "ln")
    assert seen["p2"] == (LINK, "p")


@pytest.mark.parametrize("name", ["above", "later"])
def test_a_new_name_of_a_lower_file_brings_the_content(step, tmp_path, name):
    """A layer cannot link to what is in a lower one: most tools refuse it."""
    base = make_layer(tmp_path / "base", file="1")
    seen = step([base], lambda root: os.link(f"{root}/file", f"{root}/{name}"), links=False)
    assert next(m for m in seen if m.name == name).content == b"1"
    assert {m.name for m in seen if m.kind == LINK} <= {"file"}


def test_a_lower_name_that_is_removed_leaves_the_others_alone(step, tmp_path):
    base = make_layer(tmp_path / "base", a="1")
    os.link(base / "a", base / "b")
    os.link(base / "a", base / "c")
    assert kinds(step([base], lambda root: os.unlink(f"{root}/a"))) == {".wh.a": (b"0", "")}


def test_writing_to_a_lower_file_under_one_of_its_names(kind, step, tmp_path):
    base = make_layer(tmp_path / "base", a="1")
    os.link(base / "a", base / "b")

    def act(root):
        with open(f"{root}/a", "a") as file:
            file.write("more")

    seen = kinds(step([base], act, links=kind == "scan"))
    if kind == "overlay":
        assert seen == {"a": (b"0", "")}, "the kernel copies up one name, and the other keeps the old content"
    else:
        assert seen == {"a": (b"0", ""), "b": (LINK, "a")}, "one file, as on any other file system"


def test_names_of_a_lower_layer_stay_one_file(step, tmp_path):
    base = make_layer(tmp_path / "base", a="1", d__x="1")
    os.link(base / "a", base / "d/b")

    def act(root):
        if os.stat(f"{root}/a").st_ino != os.stat(f"{root}/d/b").st_ino:
            raise AssertionError

    assert step([base], act) == []
