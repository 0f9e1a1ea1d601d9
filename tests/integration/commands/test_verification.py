"""Checks of an image as a person asks for them: `strake build --verify`, before any tag moves."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.building.builds import Builder

STEPS = "FROM TINY\nCOPY app /app\nRUN echo 7 > /v && echo kept > /tmp/kept\nENV MODE=good\n"
GOOD = (
    "type=test,name=smoke,command=sh -c "
    "'test $(cat /v) = 7 && test -e /tmp/kept && test $MODE = good && echo x > /v'"
)
BAD = "type=test,name=smoke,command=sh -c 'echo the port is taken; exit 3'"


def match(identifier: str, severity: str) -> dict[str, Any]:
    return {
        "vulnerability": {"id": identifier, "severity": severity, "fix": {"versions": ["2.0"]}},
        "artifact": {"name": "libfoo", "version": "1.0"},
    }


def build(builder: Builder, *flags: str, steps: str = STEPS) -> subprocess.CompletedProcess[str]:
    builder.context(steps, app="app\n")
    return builder.run("--reproducible", *flags)


def scan(builder: Builder, script: str, **more: Any) -> str:
    """Return the flag of a scan that a shell script does in the small base image."""
    image = builder.names["TINY"]
    check = {"name": "cves", "kind": "scan", "image": image, "command": ["sh", "-euc", script], **more}
    path = builder.directory / "checks.yaml"
    path.write_text(json.dumps({"verify": [check]}))
    return f"--verify-file={path}"


def writes(document: object) -> str:
    """Return a script that tells what is in the image, and writes findings."""
    return (
        'test "$(cat $STRAKE_VERIFY_ROOT/v)" = 7; ! echo x 2>/dev/null > $STRAKE_VERIFY_ROOT/v\n'
        f"cat > $STRAKE_VERIFY_RESULT <<'END'\n{json.dumps(document)}\nEND\n"
    )


@pytest.mark.parametrize("isolation", ["root", "nested", "chroot"])
def test_a_test_runs_in_the_image_and_leaves_no_trace(builder, tmp_path, isolation):
    before, metadata = build(builder).stdout, tmp_path / "metadata"
    network = ",network=default" if isolation == "chroot" else ""
    done = build(
        builder, f"--isolation={isolation}", f"--verify={GOOD}{network}", f"--metadata-file={metadata}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == before
    assert "test smoke in the image" in done.stderr
    [told] = json.loads(metadata.read_text())["verification"]
    assert told == {"name": "smoke", "kind": "test", "outcome": "Passed"}
    assert builder.left_behind() == []


def test_a_test_that_fails_keeps_the_tag_where_it_is(builder):
    done = build(builder, f"--verify={BAD}")
    assert done.returncode == 17
    assert "the test smoke failed" in done.stderr
    assert "the port is taken" in done.stderr
    assert builder.tags() == []
    [digest] = set(re.findall("inspected: [^ ]*@(sha256:[0-9a-f]{64})", done.stderr))
    with builder.registry.client() as client:
        found = client.manifest(builder.registry.repository(builder.name), digest)[0]
    assert str(found.digest) == digest, "the image is there to be inspected"


def test_a_failure_that_only_warns_lets_the_tag_move(builder):
    done = build(builder, f"--verify={BAD},warn-only")
    assert done.returncode == 0, done.stderr
    assert "warning: the test smoke failed" in done.stderr
    assert builder.tags() == ["1"]


NOTHING = "echo '{\"matches\": []}' > $STRAKE_VERIFY_RESULT"


def test_no_index_is_made_if_the_image_of_one_platform_is_refused(builder, tmp_path):
    refuses = "test $STRAKE_VERIFY_PLATFORM = linux/amd64; " + NOTHING
    platforms = "--platform=linux/amd64,linux/arm64"
    done = build(builder, platforms, scan(builder, refuses), steps="FROM scratch\nCOPY Dockerfile /v\n")
    assert done.returncode == 16, done.stderr
    assert "linux/arm64: the check cves could not be made" in done.stderr
    assert builder.tags() == []
    passes, metadata = scan(builder, NOTHING), tmp_path / "metadata"
    done = build(
        builder, platforms, passes, f"--metadata-file={metadata}", steps="FROM scratch\nCOPY Dockerfile /v\n"
    )
    assert done.returncode == 0, done.stderr
    told = [(each["platform"], each["outcome"]) for each in json.loads(metadata.read_text())["verification"]]
    assert told == [("linux/amd64", "Passed"), ("linux/arm64", "Passed")]


def test_steps_of_a_refused_image_stay_in_the_cache(builder, tmp_path):
    cache = f"--cache-dir={tmp_path / 'cache'}"
    assert build(builder, cache, f"--verify={BAD}").returncode == 17
    done = build(builder, cache, f"--verify={GOOD}")
    assert done.returncode == 0, done.stderr
    assert "2 from the cache, 0 run" in done.stderr


@pytest.mark.parametrize("isolation", ["nested", "chroot"])
def test_a_scan_reads_the_image_and_tells_what_is_bad(builder, isolation):
    found = {"matches": [match("CVE-2026-2", "Critical"), match("CVE-2026-1", "Low")]}
    network = "default" if isolation == "chroot" else "none"
    flag = scan(builder, writes(found), network=network)
    done = build(builder, flag, f"--isolation={isolation}")
    assert done.returncode == 18, done.stderr
    assert "1 critical: CVE-2026-2 (critical) in libfoo 1.0, fixed in 2.0" in done.stderr
    assert "CVE-2026-1" not in done.stderr
    assert builder.tags() == []


def test_what_is_ignored_fails_nothing_and_what_ignores_nothing_is_told(builder, tmp_path):
    ignore = [
        {"id": "CVE-2026-2", "reason": "not reachable", "expires": "2999-01-01"},
        {"id": "CVE-2025-9"},
        {"id": "CVE-2025-8", "expires": "2025-01-31"},
    ]
    metadata = tmp_path / "metadata"
    flag = scan(builder, writes({"matches": [match("CVE-2026-2", "Critical")]}), ignore=ignore)
    done = build(builder, flag, f"--metadata-file={metadata}")
    assert done.returncode == 0, done.stderr
    assert "ignores CVE-2025-9, which was not found" in done.stderr
    assert "ignores CVE-2025-8 no more: that ended on 2025-01-31" in done.stderr
    [told] = json.loads(metadata.read_text())["verification"]
    assert (told["outcome"], told["findings"]["critical"], told["findings"]["ignored"]) == ("Passed", 0, 1)


ESCAPES = {"matches": [match("CVE-1\u001b]0;owned\u0007", "Critical")]}
HOSTILE = {
    "nothing": ("true", "wrote no file"),
    "large": ("head -c 104857600 /dev/zero > $STRAKE_VERIFY_RESULT", "more than 32 MiB"),
    "deep": (
        "yes [ | head -n 200000 | tr -d '\\n' > $STRAKE_VERIFY_RESULT",
        "what the scanner wrote is no JSON",
    ),
    "link": ("ln -s /proc/self/environ $STRAKE_VERIFY_RESULT", "wrote no file"),
    "up": ("ln -s ../../../../../../../../../../etc/shadow $STRAKE_VERIFY_RESULT", "wrote no file"),
    "pipe": ("mkfifo $STRAKE_VERIFY_RESULT", "wrote no file"),
    "form": ('echo \'{"digest": "sha256:00"}\' > $STRAKE_VERIFY_RESULT', "neither grype's JSON"),
    "broken scanner": ("echo '{\"matches\": []}' > $STRAKE_VERIFY_RESULT; exit 9", "exit code 9"),
    "other name": ("rm -r /run/verify/out; echo '{}' > /run/verify/out", "wrote no file"),
}


@pytest.mark.parametrize(("script", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_scanner_that_does_not_do_its_part_passes_nothing(builder, script, words):
    secret = Path("/etc/shadow").read_text().splitlines()[0]
    done = build(builder, scan(builder, script), steps="FROM TINY\nCOPY app /v\n")
    assert done.returncode == 16, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert secret not in done.stderr
    assert builder.tags() == []


def test_findings_write_nothing_to_the_terminal(builder):
    done = build(builder, scan(builder, writes(ESCAPES)))
    assert done.returncode == 18
    assert "\x1b]0" not in done.stderr
    assert builder.tags() == []


def test_a_check_sees_no_credentials(builder):
    flag = "--verify=type=test,command=sh -c '! env | grep -i canary && ! ls /root/.docker 2>/dev/null'"
    builder.context(STEPS, app="app\n")
    done = builder.run(flag, REGISTRY_PASSWORD="canary")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("isolation", ["root", "nested"])
def test_a_check_has_the_secrets_that_it_names_and_no_others(builder, tmp_path, isolation):
    for name in ("database", "other"):
        (tmp_path / name).write_text(f"{name}-canary")
    given = [f"--secret=id={name},src={tmp_path / name}" for name in ("database", "other")]
    look = "test $(cat /run/secrets/database) = database-canary && ! ls /run/secrets/other 2>/dev/null"
    done = build(
        builder,
        f"--verify=type=test,command=sh -c '{look}',secret=database",
        f"--isolation={isolation}",
        *given,
    )
    assert done.returncode == 0, done.stderr
    assert "/run/secrets" not in builder.built().paths
    assert "canary" not in done.stderr
    reads = 'test "$(cat /run/secrets/database)" = database-canary; ' + writes({"matches": []})
    done = build(builder, scan(builder, reads, secrets=["database"]), f"--isolation={isolation}", *given)
    assert done.returncode == 0, done.stderr


def test_a_scan_has_the_sbom_of_the_build(builder):
    script = (
        'cat > "$BUILDKIT_SCAN_DESTINATION/a.json" <<END\n'
        '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",'
        '"subject":[],"predicate":{"spdxVersion":"SPDX-2.3","name":"marked"}}\nEND\n'
    )
    context = builder.directory / "scanner"
    context.mkdir()
    (context / "scan").write_text(script)
    tiny, image = builder.names["TINY"], f"{builder.registry.host}/{builder.name}-sbom:1"
    (context / "Dockerfile").write_text(f'FROM {tiny}\nCOPY scan /scan\nENTRYPOINT ["/bin/sh", "/scan"]\n')
    made = builder.run("--context", str(context), "--destination", image)
    assert made.returncode == 0, made.stderr
    reads = "grep -q marked $STRAKE_VERIFY_SBOM; " + writes({"matches": []})
    done = build(builder, scan(builder, reads), f"--sbom=generator={image}")
    assert done.returncode == 0, done.stderr


def test_nothing_is_built_for_a_check_that_cannot_be_made(builder):
    missing = f"{builder.registry.host}/missing:1"
    done = build(builder, f"--verify=type=scan,image={missing}")
    assert done.returncode == 5
    assert missing in done.stderr
    done = build(builder, f"--verify={GOOD},secret=database")
    assert "wants the secret 'database', which the build was not given" in done.stderr
    assert "echo 7" not in done.stderr
    done = build(builder, f"--verify={GOOD}", "--isolation=chroot")
    assert done.returncode == 16
    assert "network: default" in done.stderr
    assert "echo 7" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("type=scan", "needs the scanner's image"),
        ("type=test", "needs a command"),
        ("type=test,command=x,ignore=CVE-1", "a test has no findings"),
        ("type=probe,command=x", "type is test or scan"),
        ("type=test,command='x", "No closing quotation"),
        ("type=test,command=x,secret=../x", "secrets"),
        ("type=test,command=x,user=1", "'user=1' is not understood"),
        ("type=test,command=x,network=host", "network"),
    ],
)
def test_a_flag_that_makes_no_check_is_refused(builder, flag, words):
    done = build(builder, f"--verify={flag}")
    assert done.returncode == 2
    assert words in done.stderr
