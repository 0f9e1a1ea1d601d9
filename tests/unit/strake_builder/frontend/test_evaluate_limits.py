"""What a small hostile file could make large: each ends in a refusal, long before memory does."""

from __future__ import annotations

import pytest

from strake_builder.frontend import DockerfileRefusedError
from strake_builder.frontend.model.steps import RunStep
from tests.fixtures.narrow import instance
from tests.unit.strake_builder.frontend.stages import evaluated

LONG = "ENV v=" + "x" * 900_000 + "\n"

FILES = {
    "history of RUN": "ARG v=" + "x" * 900_000 + "\n" + "RUN a\n" * 200,
    "heredocs": LONG + "COPY <<E /x\n$v\nE\n" * 200,
    "labels by expansion": LONG + "".join(f"LABEL l{n}=$v\n" for n in range(200)),
    "sources": LONG + "COPY $v /x\n" * 200,
    "replacement": LONG + "LABEL a=${v//x/" + "y" * 50 + "}\n",
    "ports": "EXPOSE 0-65535\n" * 10,
    "variables": "ENV " + " ".join(f"a{n}=b" for n in range(3000)) + "\n",
    "arguments": "ARG " + " ".join(f"a{n}=b" for n in range(3000)) + "\n",
    "labels": "LABEL " + " ".join(f"a{n}=b" for n in range(3000)) + "\n",
    "volumes": "VOLUME " + " ".join(f"/a{n}" for n in range(3000)) + "\n",
    "instructions": "ENV a=b\n" * 4001,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", sorted(FILES))
def test_growth_is_bounded(kind):
    with pytest.raises(DockerfileRefusedError) as caught:
        evaluated("FROM base\n" + FILES[kind])
    (problem,) = caught.value.problems
    assert str(problem.code) == "too-large"
    assert problem.line > 1 or kind == "instructions"


def test_configurations_share_what_they_have_in_common():
    steps = evaluated("FROM base\nENV a=" + "x" * 100_000 + "\n" + "RUN y\n" * 100).steps
    entries = {id(entry) for step in steps[1:] for entry in instance(step, RunStep).environment}
    assert len(entries) == 2


def test_mistakes_of_a_stage_are_reported_together():
    with pytest.raises(DockerfileRefusedError) as caught:
        evaluated('FROM base\nENV p=x\nEXPOSE $p\nENV a="${b:?}"\nSTOPSIGNAL $p\nRUN y\n')
    assert [problem.line for problem in caught.value.problems] == [3, 4, 5]
