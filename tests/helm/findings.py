"""What tools that judge objects of Kubernetes find in the chart's: checkov (security) and kube-score (availability, too)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.cluster.settings import CACHE
from tests.fixtures.building.go_tools import kube_score
from tests.fixtures.building.untimed import untimed
from tests.helm.charts import ROOT, Object

_LOCK = ROOT / "requirements/checkov.txt"
_FINE = 10
"""The grade of kube-score that has no comment."""
_OPTIONAL = ("container-seccomp-profile", "container-ports-check")
"""Of kube-score's optional checks, those that a default may pass."""


def security_and_availability(objects: Iterable[Object]) -> dict[str, str]:
    """Return what both tools find: `OBJECT CHECK`, an object as `Kind/name`, → what the tool tells of it."""
    kept = list(objects)
    return of_kube_score(kept) | _of_checkov(yaml.safe_dump_all(kept))


def of_kube_score(objects: Iterable[Object]) -> dict[str, str]:
    """Return what kube-score finds, in the same form."""
    text = yaml.safe_dump_all(objects)
    optional = [f"--enable-optional-test={each}" for each in _OPTIONAL]
    command = [kube_score(), "score", "--output-format=json", "--output-version=v2", *optional, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.stdout, done.stderr
    found = {}
    for judged in json.loads(done.stdout):
        kind, name = judged["type_meta"]["kind"], judged["object_meta"]["name"]
        for check in judged["checks"] or ():
            if not check["skipped"] and check["grade"] < _FINE:
                comments = "; ".join(each["summary"] for each in check["comments"] or ())
                found[f"{kind}/{name} {check['check']['id']}"] = comments
    return found


def _of_checkov(text: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "objects.yaml")
        file.write_text(text)
        command = [checkov(), f"--file={file}", "--framework=kubernetes", "--skip-download", "--output=json"]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
        }  # no token of anybody's, and no settings
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=directory)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert not result["summary"]["parsing_errors"]
    assert result["summary"]["passed"] > 200
    found = {}
    for each in result["results"]["failed_checks"]:
        kind, _, name, *_ = each["resource"].split(".")
        found[f"{kind}/{name} {each['check_id']}"] = each["check_name"]
    return found


def checkov() -> str:
    """Return the program, installed with all that it needs unless these very versions were before."""
    key = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    environment = CACHE / "checkov" / key
    program = environment / "bin/checkov"
    environment.parent.mkdir(parents=True, exist_ok=True)
    with untimed(), (environment.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / ".ready").exists():
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run(
                [uv, "venv", "--quiet", "--clear", f"--python={sys.executable}", environment], check=True
            )
            install = ["pip", "install", "--quiet", f"--python={environment}/bin/python"]
            subprocess.run([uv, *install, "--require-hashes", f"--requirement={_LOCK}"], check=True)
            (environment / ".ready").touch()
    return str(program)
