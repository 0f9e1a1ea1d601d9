"""Makes reference results: builds cases with a real BuildKit and writes expected/NAME.json.

    python -m tests.conformance.reference BUILDKITD BUILDCTL NAME...

Needs root, runc, and the two programs of the release that is the reference (README.md). A result is read
with `flatten`, as the test reads ours; an existing one is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strake_oci.spec.reference import Reference
from tests.conformance.cases import CASES, Case
from tests.conformance.contexts import write_context
from tests.conformance.flatten import Flat, compared, flatten
from tests.fixtures.servers.registry import running_registry
from tests.images.push import push_image

EXPECTED = Path(__file__).parent / "expected"
STARTING_SECONDS = 30


@contextlib.contextmanager
def daemon(buildkitd: str, buildctl: str, state: Path, registry: str) -> Iterator[str]:
    """Run a BuildKit that may pull from and push to a registry without TLS; yield its address."""
    address = f"unix://{state}/sock"
    config = state / "buildkitd.toml"
    config.write_text(
        "[worker.containerd]\nenabled = false\n"
        '[worker.oci]\nenabled = true\nsnapshotter = "overlayfs"\ngc = false\nbinary = "runc"\n'
        f"[registry.{json.dumps(registry)}]\nhttp = true\ninsecure = true\n"
    )
    command = [
        "unshare",
        "--mount",
        buildkitd,
        "--config",
        config,
        "--root",
        state / "root",
        "--addr",
        address,
    ]
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        asking = [buildctl, "--addr", address, "debug", "workers"]
        while subprocess.run(asking, capture_output=True).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"buildkitd did not start:\n{(state / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(STARTING_SECONDS)


def build(
    name: str,
    names: dict[str, str],
    buildctl: str,
    address: str,
    destination: str,
    options: tuple[str, ...] = (),
) -> str:
    """Build a case of the table; as `build_in`."""
    with tempfile.TemporaryDirectory() as directory:
        write_context(CASES[name], Path(directory), names)
        return build_in(directory, CASES[name], buildctl, address, destination, options)


def build_in(
    directory: str | Path,
    case: Case,
    buildctl: str,
    address: str,
    destination: str,
    options: tuple[str, ...] = (),
) -> str:
    """Build a case whose context was written; return BuildKit's message where it refuses, else an empty string."""
    command = [buildctl, "--addr", address, "build", "--progress=plain", "--frontend=dockerfile.v0"]
    command += ["--local", f"context={directory}", "--local", f"dockerfile={directory}"]
    command += [word for argument in case.args for word in ("--opt", f"build-arg:{argument}")]
    command += ["--opt", f"target={case.target}"] if case.target else []
    command += ["--opt", f"platform={','.join(case.platforms)}"] if case.platforms else []
    for context in case.contexts:
        command += ["--local", f"{context}={directory}/{context}"]
        command += ["--opt", f"context:{context}=local:{context}"]
    command += [word for option in options for word in ("--opt", option)]
    command += ["--output", f"type=image,name={destination},push=true"]
    environment = dict(os.environ)
    for secret, value in case.secrets.items():
        command += ["--secret", f"id={secret},env=SECRET_{secret}"]
        environment[f"SECRET_{secret}"] = value
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return ""
    return next((line for line in done.stderr.splitlines()[::-1] if "error: " in line), done.stderr[-300:])


def result(image: Flat, bases: dict[str, Flat]) -> dict[str, Any]:
    """Describe an image in the fields of README.md."""
    ids = [str(diff_id) for diff_id in image.config.diff_ids]
    base = next(
        (
            word
            for word, flat in bases.items()
            if ids[: flat.layers] == [str(d) for d in flat.config.diff_ids]
        ),
        None,
    )
    flat_base = bases[base] if base else Flat(image.config, 0)
    config = json.loads(image.config.serialize())["config"]
    config = {key: value for key, value in config.items() if value not in (None, "", [], {})}
    if "Env" in config:
        config["Env"] = sorted(config["Env"])
    changed = {p: f for p, f in sorted(image.paths.items()) if compared(p) and flat_base.paths.get(p) != f}
    groups = {group for group in image.link_groups() if group & set(changed)}
    return {
        "outcome": "success",
        "base": base,
        "layers_on_base": image.layers - flat_base.layers,
        "config": config,
        "changed": changed,
        "removed": sorted(p for p in flat_base.paths if p not in image.paths and compared(p)),
        "hard_links": sorted(sorted(group) for group in groups),
    }


def main(buildkitd: str, buildctl: str, *wanted: str) -> None:
    """Write the results of the cases that are named."""
    with contextlib.ExitStack() as scope:
        state = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        registry = scope.enter_context(running_registry())
        client = scope.enter_context(registry.client())
        names = {"BASE": f"{registry.host}/library/debian:12", "TINY": f"{registry.host}/library/busybox:1"}
        bases = {}
        for word, image in (("BASE", "base"), ("TINY", "tiny")):
            push_image(image, names[word])
            reference = Reference.parse(names[word])
            bases[word] = flatten(client, reference.repository, reference.tag)
        address = scope.enter_context(daemon(buildkitd, buildctl, state, registry.host))
        for name in wanted:
            destination = f"{registry.host}/result/{name.replace('_', '-')}:1"
            refusal = build(name, names, buildctl, address, destination)
            if refusal:
                found: dict[str, object] = {"outcome": "failure", "reference_message": refusal}
            else:
                reference = Reference.parse(destination)
                found = result(flatten(client, reference.repository, reference.tag), bases)
            text = json.dumps(found, indent=1, ensure_ascii=False)
            (EXPECTED / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            print(name, found["outcome"], found.get("reference_message", ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
