"""Which tests a changed file leads to."""

from __future__ import annotations

import pytest

from tests.changed import affected

FILES = {
    "builder/room/alone.py": "",
    "builder/room/tested.py": "",
    "tests/fixtures/far.py": "from tests.fixtures import near\n",
    "tests/fixtures/near.py": "",
    "tests/contract/conftest.py": "from tests.fixtures.shared import thing\n",
    "tests/contract/test_all.py": "",
    "tests/fixtures/shared.py": "",
    "tests/integration/test_it.py": "from tests.fixtures.far import thing\n",
    "tests/integration/test_other.py": "import room.tested\n",
    "tests/unit/room/test_else.py": "",
    "tests/unit/room/test_tested.py": "",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ([], []),
        (["docs/page.md", "builder/gone.py"], []),
        (["builder/room/tested.py"], ["tests/integration/test_other.py", "tests/unit/room/test_tested.py"]),
        (["builder/room/alone.py"], ["tests/unit/room"]),
        (
            ["builder/room/alone.py", "builder/room/tested.py"],
            ["tests/integration/test_other.py", "tests/unit/room"],
        ),
        (["tests/fixtures/near.py"], ["tests/integration/test_it.py"]),
        (["tests/fixtures/shared.py"], ["tests/contract"]),
        (["tests/contract/conftest.py"], ["tests/contract"]),
        (["tests/fixtures/gone.py"], []),
        (["tests/unit/room/test_else.py"], ["tests/unit/room/test_else.py"]),
        (["tests/unit/room/test_gone.py"], []),
    ],
)
def test_what_is_run(tree, changed, tests):
    assert affected(changed, tree) == tests


def test_the_packages_of_this_tree():
    found = affected(["oci/strake_oci/ttl_cache.py"])
    assert "tests/unit/strake_oci/test_ttl_cache.py" in found
