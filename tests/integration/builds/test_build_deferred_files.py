"""The files of a COPY that nothing but its layer is made of: read where they are, and never written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.building.file_systems import ext4

SIZE = 256 << 20


def fill(file: Path) -> None:
    """Write a file that takes room; of a hole a copy takes none."""
    with file.open("wb") as writer:
        writer.writelines(b"0" * (1 << 20) for _ in range(SIZE >> 20))


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("step", ["COPY . /srv/", "COPY zeros /srv/zeros", "COPY --link . /srv/"])
def test_a_copy_at_the_end_needs_no_room_for_its_files(builder, step, cache):
    context = builder.context(f"FROM TINY\n{step}\n")
    fill(context / "zeros")
    flags = ["--cache-repo", f"{builder.registry.host}/{builder.name}/cache"] if cache else []
    with ext4(builder.work, "128M"):
        done = builder.run(*flags)
        assert done.returncode == 0, done.stdout
    assert builder.built().paths["/srv/zeros"]["size"] == SIZE


@pytest.mark.parametrize("after", ["WORKDIR /srv", "RUN test -f /srv/zeros", "COPY Dockerfile /srv/"])
def test_before_another_step_it_does(builder, after):
    """So the test before this one would notice files that are written."""
    context = builder.context(f"FROM TINY\nCOPY zeros /srv/\n{after}\n")
    fill(context / "zeros")
    with ext4(builder.work, "128M"):
        done = builder.run()
    assert done.returncode == 11, done.stdout
    assert "the work directory is full" in done.stdout + done.stderr


def test_what_is_copied_out_of_layers_stays_while_it_is_read(builder):
    """The layers under the last step are removed beside it otherwise, and both stages are over one."""
    names = [f"many/{number:04}" for number in range(5000)]
    base = replace(builder, name=f"{builder.name}/base")
    context = base.context("FROM scratch\nCOPY many /many\n")
    (context / "many").mkdir()
    for name in names:
        (context / name).write_text(name)
    assert base.run().returncode == 0
    # Of an image of one layer files are copied out of the layer itself.
    base.context(f"FROM {base.destination} AS one\nFROM {base.destination}\nCOPY --from=one /many /copied\n")
    done = builder.run()
    assert done.returncode == 0, done.stdout + done.stderr
    copied = {path: found for path, found in builder.built().paths.items() if path.startswith("/copied/")}
    assert len(copied) == len(names)
    assert {found["size"] for found in copied.values()} == {len(names[0])}


def test_a_name_that_no_layer_can_hold_is_told_with_its_line(builder):
    context = builder.context("FROM TINY\nCOPY . /srv/\n")
    (context / ".wh.name").touch()
    done = builder.run()
    assert done.returncode != 0
    assert "/srv/.wh.name cannot be in an image" in done.stdout + done.stderr
    assert "Dockerfile:2" in done.stdout + done.stderr
    assert builder.tags() == []
