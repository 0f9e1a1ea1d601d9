"""What no test runs of the pages' commands is on a list, with its reason, and the lists name what there is."""

from __future__ import annotations

import pytest

from tests.pages.blocks import IN_CLUSTER, NOT_RUN, Block, commands

ALL = commands()


@pytest.mark.parametrize(("page", "first"), NOT_RUN)
def test_a_command_that_is_not_run_is_on_its_page(page, first):
    found = [each for block in ALL if block.page == page for each in block.commands if each.startswith(first)]
    assert len(found) == 1


@pytest.mark.parametrize(("page", "first"), sorted(IN_CLUSTER))
def test_a_block_for_the_cluster_is_on_its_page(page, first):
    assert any(each.page == page and each.text.startswith(first) for each in ALL)


def test_commands_of_a_cluster_are_not_run_without_one():
    for block in ALL:
        if not block.in_cluster:
            assert "kubectl " not in block.script
            assert "helm " not in block.script


def test_a_block_is_its_commands():
    block = Block("docs/ui.md", 0, "a \\\n  b\npip install '.[ui]'\nkubectl strake ui\n")
    here = Block("docs/ui.md", 0, "a\nb - <<'END'\nc\nd\nEND\ne\n")
    assert here.commands == ("a\n", "b - <<'END'\nc\nd\nEND\n", "e\n")
    assert block.commands == ("a \\\n  b\n", "pip install '.[ui]'\n", "kubectl strake ui\n")
    assert block.script == "a \\\n  b\n"
    assert not block.in_cluster
