import pytest

from strake_oci.errors import InvalidPlatformError, PlatformNotFoundError
from strake_oci.spec.platform import Platform, acceptable, choose, host


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9.0", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("arm64", "linux/arm64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_one_spelling(text, normal):
    assert str(Platform.parse(text)) == normal


@pytest.mark.parametrize(
    "text", ["", "linux/", "/amd64", "linux/arm/v7/x", "lin ux/amd64", "nonsense", "linux/a\n"]
)
def test_what_is_no_platform(text):
    with pytest.raises(InvalidPlatformError):
        Platform.parse(text)


def test_system_alone_means_this_processor():
    assert Platform.parse("linux") == Platform("linux", host().architecture, host().variant)


@pytest.mark.parametrize(
    ("wanted", "best_first"),
    [
        ("linux/amd64", "linux/amd64 linux/386"),
        ("linux/amd64/v3", "linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386"),
        ("linux/arm/v7", "linux/arm/v7 linux/arm/v6 linux/arm/v5"),
        ("linux/arm64", "linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5"),
        ("linux/s390x", "linux/s390x"),
    ],
)
def test_what_runs_where(wanted, best_first):
    assert " ".join(map(str, acceptable(Platform.parse(wanted)))) == best_first


def test_best_and_then_first_is_chosen():
    there = [(Platform.parse(text), text) for text in ("linux/arm/v6", "linux/arm/v7", "linux/amd64")]
    assert choose(Platform.parse("linux/arm64"), there) == "linux/arm/v7"
    assert (
        choose(Platform.parse("linux/amd64"), [*there, (Platform.parse("linux/amd64"), "second")])
        == "linux/amd64"
    )


def test_index_may_spell_it_otherwise():
    assert choose(Platform.parse("linux/arm64"), [(Platform("linux", "arm64", "v8"), 1)]) == 1


def test_windows_needs_the_same_build():
    old, new = (
        Platform("windows", "amd64", "", "10.0.17763.1"),
        Platform("windows", "amd64", "", "10.0.20348.9"),
    )
    wanted = Platform("windows", "amd64", "", "10.0.20348.1")
    assert choose(wanted, [(old, "old"), (new, "new")]) == "new"


def test_error_lists_what_there_is():
    there = [(Platform.parse("linux/s390x"), 1), (Platform("unknown", "unknown"), 2), (None, 3)]
    with pytest.raises(PlatformNotFoundError, match=r"there is linux/s390x$"):
        choose(Platform.parse("linux/amd64"), there)
    with pytest.raises(PlatformNotFoundError, match="index is empty"):
        choose(Platform.parse("linux/amd64"), [])
