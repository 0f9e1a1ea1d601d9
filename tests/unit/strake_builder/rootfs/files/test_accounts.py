"""Users and groups as the image has them."""

import pytest

from strake_builder.errors import StepError
from strake_builder.rootfs.files.accounts import Account, find_account, find_group, split_user
from strake_builder.rootfs.files.inside import Root


@pytest.fixture
def image(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\napp:x:1500:1501::/home/app:/bin/sh\nbroken line\n# comment\nempty:x::0:::\n"
        "homeless:x:7:7:::\nalias:x:1500:1502::/home/alias:/bin/sh\n42x:x:43:44::/x:/bin/sh\n99:x:98:97::/y:/bin/sh\n"
        "short:x:9:9\nbig:x:4294967296:1::/big:\nsplit:x:11:11:a\u2028b:/split:/bin/sh\n"
    )
    (tmp_path / "etc/group").write_text(
        "root:x:0:\ngrp:x:1601:\nextra:x:1700:app,other\nmore:x:1800:other\n99:x:96:\nbad:x:y:app\nshort:x:1900\n"
    )
    with Root(tmp_path) as root:
        yield root


@pytest.mark.parametrize(
    ("user", "group", "account"),
    [
        ("", None, Account(0, 0, (0,), "/root")),
        ("app", None, Account(1500, 1501, (1501, 1700), "/home/app")),
        ("1500", None, Account(1500, 1501, (1501, 1700), "/home/app")),
        ("app", "grp", Account(1500, 1601, (1601,), "/home/app")),
        ("1500", "0", Account(1500, 0, (0,), "/home/app")),
        ("42", None, Account(42, 0, (0,), "/")),
        ("42", "99", Account(42, 99, (99,), "/")),
        ("99", None, Account(99, 0, (0,), "/")),
        ("homeless", None, Account(7, 7, (7,), "")),
        ("alias", None, Account(1500, 1502, (1502,), "/home/app")),
        ("short", None, Account(9, 9, (9,), "")),
        ("short", "short", Account(9, 1900, (1900,), "")),
        ("split", None, Account(11, 11, (11,), "/split")),
        ("4294967294", None, Account(4294967294, 0, (0,), "/")),
    ],
)
def test_who_a_user_is(image, user, group, account):
    assert find_account(image, user, group) == account


@pytest.mark.parametrize(
    "user", ["nobody-here", "-1", "4294967295", "99999999999999999999", "app ", "empty", "big"]
)
def test_who_is_not_there_is_an_error(image, user):
    with pytest.raises(StepError):
        find_account(image, user)


def test_a_group_that_is_not_there_is_an_error(image):
    with pytest.raises(StepError, match="no group 'nope'"):
        find_group(image, "nope")


def test_root_needs_no_files(tmp_path):
    with Root(tmp_path) as empty:
        assert find_account(empty, "root", "root") == Account(0, 0, (0,), "/")


def test_a_passwd_that_is_a_link_out_is_not_followed(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    with Root(tmp_path) as root, pytest.raises(StepError):
        find_account(root, "daemon")


@pytest.mark.parametrize(
    ("text", "parts"), [("a", ("a", None)), ("a:b", ("a", "b")), ("a:", ("a", None)), ("", ("", None))]
)
def test_splitting(text, parts):
    assert split_user(text) == parts
