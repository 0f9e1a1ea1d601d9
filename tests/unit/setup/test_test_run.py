"""How a whole test run ends on a machine that lacks a program, and when it used one that setup does not bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def pytest_run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    environment["STRAKE_TESTS_DISK"] = "off"
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240)


WAYS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "workers"])


@WAYS
def test_a_missing_program_ends_the_run_before_the_first_test(workers):
    done = pytest_run(*workers, "tests/integration/work_directory/test_overlay.py", PATH="/nonexistent")
    assert done.returncode == 4
    assert "passed" not in done.stdout
    assert "failed" not in done.stdout
    assert "error: missing Debian packages: " in done.stdout + done.stderr
    assert "skopeo" in done.stdout + done.stderr
    assert "make setup" in done.stdout + done.stderr


@WAYS
def test_a_skipped_test_fails_the_run(tmp_path, workers):
    # The skip is what is tested: the run that has it must fail.
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it():\n    pytest.skip('not today')\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ("-p", "tests.conftest", "-c", f"{tmp_path}/pytest.ini", f"{tmp_path}/test_it.py")
    done = pytest_run(*workers, *words, PATH="/usr/bin:/bin", PYTHONPATH=str(ROOT))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "skipped, and should not be" in done.stdout


@WAYS
def test_a_program_that_setup_does_not_install_fails_a_run_whose_tests_pass(tmp_path, workers):
    program = tmp_path / "by-hand"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "elsewhere").mkdir()  # what lies in the directory for temporary files is the tests' own
    (tmp_path / "test_it.py").write_text(
        f"import subprocess\ndef test_it():\n    assert subprocess.run(['{program.name}']).returncode == 0\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ("-p", "tests.conftest", "-c", f"{tmp_path}/pytest.ini", f"{tmp_path}/test_it.py")
    search = f"{tmp_path}:/usr/bin:/bin"
    done = pytest_run(*workers, *words, PATH=search, PYTHONPATH=str(ROOT), TMPDIR=f"{tmp_path}/elsewhere")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert program.name in done.stdout
