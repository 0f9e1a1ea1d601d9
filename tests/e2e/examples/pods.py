"""The pods that pipelines make for a builder container, from the files that `examples/` has for them.

Each tool is imitated where a builder could notice it: which program starts it and what is mounted where, who
feeds it and who waits for it. What is the tool's own (its agents, its watching of pods) is busybox.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from tests.cluster.kubectl import kubectl
from tests.e2e.examples.pipeline import EXAMPLES, FILES, NAME, SH, Pipeline, bringing, empty, filled, mount
from tests.images.own import own_manifest

STARTS = """\
#!{shell} sh
while [ "$1" != -- ]; do shift; done
shift
set +e
"$@"
status=$?
{after}
exit $status
"""
"""What Tekton and Argo start in place of the builder: it starts that, and keeps what it leaves."""


def tekton(pipeline: Pipeline, image: str) -> None:
    """A TaskRun's pod: an init container brings the program that starts the step, by the image's entry point."""
    spec = pipeline.example("tekton/task.yaml")["spec"]
    values = {f"params.{each['name']}": each.get("default", image) for each in spec["params"]}
    values |= {f"workspaces.{each['name']}.path": f"/workspace/{each['name']}" for each in spec["workspaces"]}
    values |= {f"results.{each['name']}.path": f"/tekton/results/{each['name']}" for each in spec["results"]}
    (step,) = spec["steps"]
    words = [each for each in step["args"] if each != "$(params.EXTRA_ARGS[*])"]
    texts = {name: text for name, text in values.items() if isinstance(text, str)}
    step = filled({**step, "args": words}, r"\$\(([^)]+)\)", texts)
    entry_point = own_entry_point()
    after = 'printf \'[{"key":"IMAGE_DIGEST","value":"%s"}]\' $(cat /tekton/results/IMAGE_DIGEST) > /tekton/termination'
    script = STARTS.format(shell="/tekton/bin/busybox", after=after)
    mounts = [
        mount("bin", "/tekton/bin", readOnly=True),
        mount("workspace", "/workspace"),
        mount("home", "/tekton/home"),
        mount("results", "/tekton/results"),
        mount("steps", "/tekton/steps", readOnly=True),
        mount("run", "/tekton/run/0"),
        mount("source", "/workspace/source"),
        mount("docker-config", "/kaniko/.docker"),
    ]
    before = ["-wait_file", "/tekton/downward/ready", "-post_file", "/tekton/run/0/out", "-entrypoint"]
    container = {
        **step,
        "name": f"step-{step['name']}",
        "command": ["/tekton/bin/entrypoint"],
        "args": [*before, "--", *entry_point, *step["args"]],
        "terminationMessagePath": "/tekton/termination",
        "volumeMounts": mounts,
    }
    prepare = f"cp /busybox/busybox /tekton/bin; printf %s {shlex.quote(script)} > /tekton/bin/entrypoint\n"
    prepare += f"chmod 755 /tekton/bin/entrypoint; cp {FILES}/* /workspace/source"
    bin_and_source = mount("bin", "/tekton/bin"), mount("source", "/workspace/source")
    pipeline.run(
        {
            "initContainers": [bringing(pipeline, "prepare", prepare, *bin_and_source)],
            "containers": [container],
            "volumes": [
                *empty("bin", "workspace", "home", "results", "steps", "run", "source"),
                docker_config(),
            ],
        }
    )
    (ended,) = pipeline.ended()["containerStatuses"]
    (result,) = json.loads(ended["state"]["terminated"]["message"])
    assert result["value"].startswith("sha256:")


def argo(pipeline: Pipeline, image: str) -> None:
    """A workflow's pod: the emissary starts the command, and a sidecar waits for what it leaves."""
    spec = pipeline.example("argo-workflows/workflow.yaml")["spec"]
    given = {f"workflow.parameters.{each['name']}": each["value"] for each in spec["arguments"]["parameters"]}
    (template,) = filled(spec["templates"], r"\{\{([^}]+)\}\}", {**given, "workflow.parameters.image": image})
    (artifact,) = template["inputs"]["artifacts"]
    (output,) = template["outputs"]["parameters"]
    path, left = output["valueFrom"]["path"], "/var/run/argo/ctr/main"
    after = f"mkdir -p {left}; cp {path} {left}/digest; echo $status > {left}/exitcode"
    script = STARTS.format(shell="/var/run/argo/busybox", after=after)
    container = template["container"]
    run, source = mount("var-run-argo", "/var/run/argo"), mount("input-artifacts", "/artifacts")
    brought = f"cp /busybox/busybox /var/run/argo; printf %s {shlex.quote(script)} > /var/run/argo/argoexec\n"
    brought += f"chmod 755 /var/run/argo/argoexec; mkdir /artifacts/source; cp {FILES}/* /artifacts/source"
    main = {
        **container,
        "name": "main",
        "command": ["/var/run/argo/argoexec", "emissary", "--loglevel", "info", "--", *container["command"]],
        "env": [{"name": "ARGO_CONTAINER_NAME", "value": "main"}],
        "volumeMounts": [
            *container["volumeMounts"],
            run,
            mount("input-artifacts", artifact["path"], subPath="source"),
        ],
    }
    waits = f"until [ -s {left}/exitcode ]; do sleep 1; done; cat {left}/digest; exit $(cat {left}/exitcode)"
    wait = {"name": "wait", "image": pipeline.debug, "command": [SH, "-c", waits], "volumeMounts": [run]}
    pipeline.run(
        {
            "initContainers": [bringing(pipeline, "init", brought, run, source)],
            "containers": [wait, main],
            "volumes": [*spec["volumes"], *empty("var-run-argo", "input-artifacts")],
        }
    )
    pipeline.ended()
    assert kubectl("logs", NAME, "-c", "wait", "-n", pipeline.namespace).startswith("sha256:")


WRAPPER = """\
cd {work}
( while [ -d {control} ] && [ ! -f {control}/result ]; do touch {control}/log; sleep 1; done ) &
IMAGE={image} {control}/script.sh > {control}/log 2>&1
echo $? > {control}/result
wait
"""
"""How the plugin durable-task starts a script: beside something that shows, by a file's time, that it lives."""


def jenkins(pipeline: Pipeline, image: str) -> None:
    """The plugin's pod: the agent has the workspace, and scripts are started in the other container."""
    spec = pipeline.example("jenkins/pod.yaml")["spec"]
    text = (EXAMPLES / "jenkins/Jenkinsfile").read_text()
    script = re.search(r"sh '''(.*?)'''", text, re.DOTALL)
    shell = re.search(r"container\(name: '([^']+)', shell: '([^']+)'\)", text)
    assert script
    assert shell
    (container,) = spec["containers"]
    assert container["name"] == shell[1]
    agent, work = "/home/jenkins/agent", "/home/jenkins/agent/workspace/app"
    control = f"{work}@tmp/durable-1234"
    workspace = mount("workspace-volume", agent)
    container["volumeMounts"].append(workspace)
    brought = f"mkdir -p {work} {control}; cp {FILES}/* {work}; chmod 755 {control}\n"
    brought += f"printf %s {shlex.quote(script[1])} > {control}/script.sh; chmod 755 {control}/script.sh"
    jnlp = {
        "name": "jnlp",
        "image": pipeline.debug,
        "command": [SH, "-c", "sleep 99d"],
        "volumeMounts": [workspace],
    }
    pipeline.run(
        {
            **spec,
            "initContainers": [bringing(pipeline, "agent", brought, workspace)],
            "containers": [container, jnlp],
            "volumes": [*spec["volumes"], *empty("workspace-volume")],
        }
    )
    pipeline.ready()
    pipeline.execute(shell[1], shell[2], text=WRAPPER.format(work=work, control=control, image=image))
    log = pipeline.execute("jnlp", SH, "-c", f"cat {control}/log {control}/result")
    assert log.endswith("\n0\n"), log


DETECT = "".join(
    f"if [ -x {shell} ]; then exec {shell}; fi\n" for shell in ("/usr/bin/bash", "/bin/bash", "/bin/sh", SH)
)
"""How GitLab's runner finds a shell, in place of an entry point."""
SAFE = "if set -o | grep pipefail > /dev/null; then set -o pipefail; fi; set -o errexit"
"""How its scripts begin."""


def gitlab(pipeline: Pipeline, image: str) -> None:
    """The runner's pod: the container for the job waits, and gets each script on its standard input."""
    job = pipeline.example("gitlab-ci/.gitlab-ci.yml")["build"]
    assert job["image"]["entrypoint"] == [""]
    builds = mount("repo", "/builds")
    repository, _, tag = image.rpartition(":")
    variables = {
        "CI_PROJECT_DIR": "/builds/team/app",
        "CI_REGISTRY": pipeline.host,
        "CI_REGISTRY_IMAGE": repository,
        "CI_REGISTRY_USER": "me",
        "CI_REGISTRY_PASSWORD": "secret",
        "CI_COMMIT_SHORT_SHA": tag,
    }
    waiting = {"command": ["sh", "-c", DETECT], "stdin": True, "volumeMounts": [builds]}
    checkout = f"mkdir -p /builds/team/app; cp {FILES}/* /builds/team/app"
    pipeline.run(
        {
            "initContainers": [bringing(pipeline, "init-permissions", checkout, builds)],
            "containers": [
                {"name": "build", "image": job["image"]["name"], **waiting},
                {"name": "helper", "image": pipeline.debug, **waiting, "volumeMounts": [builds]},
            ],
            "volumes": empty("repo"),
        }
    )
    pipeline.ready()
    lines = [
        SAFE,
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
    ]
    script = "\n".join([*lines, "cd $CI_PROJECT_DIR", *job["script"], ""])
    assert "secret" not in pipeline.execute("build", "sh", "-c", DETECT, text=script)


def skaffold(pipeline: Pipeline, image: str) -> None:
    """Skaffold's pod: an init container waits for the context, which is sent to it; flags follow no command."""
    build = pipeline.example("skaffold/skaffold.yaml")["build"]
    kaniko = build["artifacts"][0]["kaniko"]
    context, complete = mount("kaniko-emptydir", "/kaniko/buildcontext"), "/complete"
    words = [f"--destination={image}", f"--dockerfile={kaniko['dockerfile']}"]
    words += ["--context", "dir:///kaniko/buildcontext", "--cache", "--use-new-run"]
    words += ["--cache-repo", kaniko["cache"]["repo"].replace("registry.example", pipeline.host)]
    secret = {"secretName": "push", "items": [{"key": ".dockerconfigjson", "path": "config.json"}]}
    wait = f"while [ ! -f {complete} ]; do sleep 1; done"
    pipeline.run(
        {
            "initContainers": [bringing(pipeline, "kaniko-init-container", wait, context)],
            "containers": [
                {
                    "name": "kaniko",
                    "image": kaniko["image"],
                    "args": words,
                    "env": [{"name": "UPSTREAM_CLIENT_TYPE", "value": "UpstreamClient(skaffold-v2.14.0)"}],
                    "volumeMounts": [context, mount("kaniko-secret", "/kaniko/.docker")],
                }
            ],
            "volumes": [{"name": "kaniko-secret", "secret": secret}, *empty("kaniko-emptydir")],
        }
    )
    started = "--for=jsonpath={.status.initContainerStatuses[0].state.running}"
    kubectl("wait", f"pod/{NAME}", started, "-n", pipeline.namespace, "--timeout=300s", timeout=320)
    sent = f"tar -C {FILES} -ch Dockerfile file | tar -x -C /kaniko/buildcontext; touch {complete}"
    pipeline.execute("kaniko-init-container", SH, "-ec", sent)
    pipeline.ended()


def docker_config() -> dict[str, Any]:
    """Return the volume of a workspace that is a Secret, as the README of the example tells."""
    items = [{"key": ".dockerconfigjson", "path": "config.json"}]
    return {"name": "docker-config", "secret": {"secretName": "push", "items": items}}


def own_entry_point() -> list[str]:
    """Return the entry point of the builder's image, which Tekton asks the registry for."""
    manifest, layout = own_manifest("builder")
    config = layout / "blobs" / manifest.config.digest.algorithm / manifest.config.digest.encoded
    found: list[str] = json.loads(config.read_bytes())["config"]["Entrypoint"]
    return found


TOOLS = {each.__name__: each for each in (tekton, argo, jenkins, gitlab, skaffold)}
"""What makes a tool's pod, and waits until the image is pushed, by the tool's name."""
