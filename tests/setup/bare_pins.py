"""Adds to each lock the plain name of what it pins with extras: `make lock`.

pip --require-hashes takes `pydantic` for unpinned where a lock has `pydantic[email]` alone, and the other way
round. uv writes one of the two.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)\[[^\]]+\](==.*\n(?:    .*\n)*)", re.MULTILINE)


def main() -> None:
    """Change the files that the command line names."""
    for name in sys.argv[1:]:
        lock = Path(name)
        lock.write_text(_PIN.sub(lambda found: f"{found[0]}{found[1]}{found[2]}", lock.read_text()))


if __name__ == "__main__":
    main()
