"""The smallest spec, with changes, and why one that cannot be meant is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.imagebuild import ImageBuildSpec


def spec(**changes):
    return {
        "source": {"inline": {"Dockerfile": "FROM scratch"}},
        "output": {"destinations": ["registry.example/app:1"]},
        **changes,
    }


def refusal(**changes) -> str:
    with pytest.raises(ValidationError) as caught:
        ImageBuildSpec.model_validate(spec(**changes))
    return str(caught.value)
