"""Write the definitions in crds/ anew from the models of strake_api.

python crds/generate.py           write them
python crds/generate.py --check   say whether they are up to date (exit status 1 if not)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from strake_api.crd.definition import build_policy_definition, image_build_definition

TARGETS = {
    Path(__file__).with_name("imagebuilds.yaml"): image_build_definition,
    Path(__file__).with_name("buildpolicies.yaml"): build_policy_definition,
}
NOTICE = "# Generated from api/strake_api by crds/generate.py: change the models, not this file.\n"


class _Plain(yaml.SafeDumper):
    """Writes equal parts out instead of pointing at the first."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base's signature
        return True


def rendered(definition: dict[str, Any]) -> str:
    """Return a file's content."""
    return NOTICE + yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    for target, definition in TARGETS.items():
        text = rendered(definition())
        if sys.argv[1:] == ["--check"]:
            if not target.exists() or target.read_text() != text:
                sys.exit(f"{target} is out of date: run crds/generate.py")
        else:
            target.write_text(text)
