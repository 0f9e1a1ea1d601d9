"""Builds cases one after the other inside a pod of the builder's image: a program of its own, which imports no test.

    in_pod.py CASES.tar.gz PLAN.json

The archive has a directory for each case, its context. The plan has `command`, which all of them begin with, and
`cases`: `name`, more `flags`, and `environment`. Each result is a line of JSON on standard output: `name`,
`status`, `error` (the end of standard error), and where there is an image its `digest` and `isolation`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

HOME = Path("/strake/conformance")
RESULT = HOME / "result.json"


def main(archive: str, plan_file: str) -> None:
    """Build what the plan says."""
    with tarfile.open(archive) as contexts:
        contexts.extraction_filter = lambda member, _: member  # as it is; Pythons that know no filter do so
        contexts.extractall(HOME / "contexts")
    plan = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    for case in plan["cases"]:
        print(json.dumps(built(plan["command"], case)), flush=True)


def built(command: list[str], case: dict) -> dict:
    """Build a case; return its result."""
    RESULT.unlink(missing_ok=True)
    words = [*command, f"--context={HOME}/contexts/{case['name']}", f"--metadata-file={RESULT}"]
    environment = {**os.environ, **case["environment"]}
    done = subprocess.run([*words, *case["flags"]], capture_output=True, text=True, env=environment)
    found = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    kept = {key: found[key] for key in ("digest", "isolation") if key in found}
    return {"name": case["name"], "status": done.returncode, "error": done.stderr[-3000:], **kept}


if __name__ == "__main__":
    main(*sys.argv[1:])
