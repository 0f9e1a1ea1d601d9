"""Write crds/imagebuilds.yaml anew from the models of strake_api.

python crds/generate.py           write it
python crds/generate.py --check   say whether it is up to date (exit status 1 if not)
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from strake_api.crd.definition import image_build_definition

TARGET = Path(__file__).with_name("imagebuilds.yaml")
NOTICE = "# Generated from api/strake_api by crds/generate.py: change the models, not this file.\n"


class _Plain(yaml.SafeDumper):
    """Writes equal parts out instead of pointing at the first."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base's signature
        return True


def rendered() -> str:
    """Return the file's content."""
    return NOTICE + yaml.dump(
        image_build_definition(), Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if TARGET.read_text() == rendered() else f"{TARGET} is out of date: run crds/generate.py")
    TARGET.write_text(rendered())
