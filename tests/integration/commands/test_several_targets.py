"""`--target` with several stages: all are built, the first is the image, and none takes files from another."""

from __future__ import annotations


def test_of_several_targets_one_may_be_over_the_first(builder):
    """Nothing of the first is removed while its last layer is written."""
    many = "mkdir /many && cd /many && for i in $(seq 4000); do : > $i; done"
    builder.context(
        f"FROM TINY AS image\nRUN {many}\n"
        # it sleeps while files would go
        "FROM image AS test\nRUN sleep 0.5; test $(ls /many | wc -l) = 4000 && echo counted $((6*7))\n"
    )
    done = builder.run("--target=image,test")
    assert done.returncode == 0, done.stderr
    assert "counted 42" in done.stderr


def test_of_several_targets_all_are_built_and_the_first_is_pushed(builder):
    builder.context(
        "FROM TINY AS test\nRUN echo tested $((6*7))\nFROM TINY AS image\nRUN touch /image\nFROM TINY\nRUN false\n"
    )
    done = builder.run("--target=image,test")
    assert done.returncode == 0, done.stderr
    assert "tested 42" in done.stderr
    assert "/image" in builder.built().paths
    done = builder.run("--target=image", "--target=nonsense")
    assert done.returncode == 3
    assert "'nonsense' could not be found" in done.stderr


def test_of_several_targets_one_that_fails_is_a_failure(builder):
    builder.context("FROM TINY AS test\nRUN exit 3\nFROM TINY AS image\nRUN touch /image\n")
    assert builder.run("--target=image", "--target=test").returncode == 7
    assert builder.tags() == []
