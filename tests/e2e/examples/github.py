"""The pod that the Actions Runner Controller makes for a job with a container, in its mode `kubernetes`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.settings import NODE_IP
from tests.e2e.examples.pipeline import SH, Pipeline, bringing, empty, filled, mount
from tests.fixtures.servers.certificates import Certificates
from tests.fixtures.servers.web import make_repository, running_web_server


@contextmanager
def served(directory: Path, certificates: Certificates, **files: str) -> Iterator[tuple[str, str]]:
    """Serve a repository with one commit; give its URL, as GitHub writes it, and the commit's hash."""
    make_repository(directory / "repository", **files)
    commit = (directory / "repository/.git/refs/heads/main").read_text().strip()
    with running_web_server(directory, certificates, NODE_IP) as server:
        yield f"git://{server.url.removeprefix('https://')}/repository/.git", commit


def github(pipeline: Pipeline, image: str, url: str, commit: str) -> None:
    """The hooks start the container with `tail`, and run each step's script from the volume of the runner.

    Args:
        pipeline: where.
        image: its tag is the commit, as in the example.
        url: of the repository.
        commit: in it.
    """
    repository = image.removeprefix(f"{pipeline.host}/").partition(":")[0]
    values = {
        "github.repositoryUrl": url,
        "github.repository": repository,
        "github.ref": "refs/heads/main",
        "github.sha": commit,
        "secrets.GITHUB_TOKEN": "a-token",
        "secrets.REGISTRY_USER": "me",
        "secrets.REGISTRY_PASSWORD": "secret",
        "vars.REGISTRY": pipeline.host,
    }
    job = filled(pipeline.example("github-actions/build.yaml")["jobs"]["build"], r"\$\{\{([^}]+)\}\}", values)
    work = mount("work", "/__w")
    scripts = "".join(
        f"printf %s {shlex.quote(step['run'])} > /__w/_temp/{number}.sh\n"
        for number, step in enumerate(job["steps"])
    )
    pipeline.run(
        {
            "initContainers": [bringing(pipeline, "fs-init", f"mkdir /__w/_temp /__w/app\n{scripts}", work)],
            "containers": [
                {
                    "name": "job",
                    "image": job["container"]["image"],
                    "command": ["tail"],
                    "args": ["-f", "/dev/null"],
                    "workingDir": "/__w/app",
                    "env": [{"name": name, "value": value} for name, value in job["env"].items()],
                    "volumeMounts": [
                        work,
                        mount("home", "/github/home"),
                        mount("externals", "/__e", readOnly=True),
                    ],
                }
            ],
            "volumes": empty("work", "home", "externals"),
        }
    )
    pipeline.ready()
    for number in range(len(job["steps"])):
        written = pipeline.execute("job", "sh", "-e", f"/__w/_temp/{number}.sh")
        assert "secret" not in written
    assert pipeline.execute("job", SH, "-c", "ls /__w/_temp").split() == ["0.sh", "1.sh"]
