"""Write the definitions in crds/, and the admission policy beside them, anew from the models of strake_api.

python crds/generate.py           write them
python crds/generate.py --check   say whether they are up to date (exit status 1 if not)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from strake_api.crd.admission import build_policy_admission
from strake_api.crd.definition import build_policy_definition, image_build_definition

HERE = Path(__file__).resolve().parent
TARGETS: dict[Path, Callable[[], list[dict[str, Any]]]] = {
    HERE / "imagebuilds.yaml": lambda: [image_build_definition()],
    HERE / "buildpolicies.yaml": lambda: [build_policy_definition()],
    HERE.parent / "deploy/buildpolicies.yaml": build_policy_admission,
}
NOTICE = "# Generated from api/strake_api by crds/generate.py: change the models, not this file.\n"


class _Plain(yaml.SafeDumper):
    """Writes equal parts out instead of pointing at the first."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base's signature
        return True


def rendered(documents: list[dict[str, Any]]) -> str:
    """Return a file's content."""
    return NOTICE + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    for target, documents in TARGETS.items():
        text = rendered(documents())
        if sys.argv[1:] == ["--check"]:
            if not target.exists() or target.read_text() != text:
                sys.exit(f"{target} is out of date: run crds/generate.py")
        else:
            target.write_text(text)
