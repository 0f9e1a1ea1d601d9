"""An ImageBuild becomes an image, on a real Kubernetes, before your eyes.

    python -m tests.demo up      start a cluster, install Strake, build an image, run it
    python -m tests.demo down    remove all of it but the caches

`make demo` and `make demo-down` call it. It may be run again at any time: what is there is used.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.cluster.binaries import binaries_directory, is_compiled
from tests.cluster.kubectl import KubectlError
from tests.cluster.lifecycle import ClusterError, down, environment, is_up, up
from tests.cluster.requirements import MissingRequirementsError, check_requirements
from tests.cluster.settings import CACHE, DIR, KUBERNETES, REGISTRY
from tests.demo.example import (
    BASE_IMAGE,
    NAMESPACE,
    ExampleError,
    apply_example,
    make_namespace,
    run_image,
    watch,
)
from tests.demo.installation import install
from tests.demo.narrator import Narrator
from tests.demo.own_images import OwnImageError, own_images
from tests.images.layouts import image_layout
from tests.images.push import push_image
from tests.images.recipes import MissingToolError

PROBLEMS = (
    ClusterError,
    ExampleError,
    KubectlError,
    MissingRequirementsError,
    MissingToolError,
    OwnImageError,
    subprocess.CalledProcessError,
)


def start() -> None:
    """Run the demo."""
    tell = Narrator(6)
    check_requirements()
    missing = not is_compiled()
    long = "; compiling it takes some ten minutes, once" if missing else ""
    with tell.step(f"Start Kubernetes {KUBERNETES} on this machine, with a registry{long}"):
        tell.say("it runs already" if is_up() else "10 to 20 s")
        up()
        tell.say(f"registry at {REGISTRY}, logs in {DIR}")
    with tell.step("Make base images from Debian's packages (two minutes the first time)"):
        for name in ("base", "python"):
            image_layout(name)
        push_image("base", BASE_IMAGE)
        tell.say(BASE_IMAGE)
    with tell.step("Build Strake's own images, with Strake (a minute the first time)"):
        images = own_images(tell.say)
    with tell.step("Install Strake: the ImageBuild resource and its operator, from deploy/"):
        tell.say(f"kubectl apply -k {install(images)}")
    with tell.step(f"Build in namespace {NAMESPACE}, which enforces Pod Security baseline: examples/hello"):
        make_namespace()
        tell.say(apply_example())
        status = watch("hello", tell.say)
        tell.say(f".status.image = {status['image']}")
        tell.say(_isolation(status["isolation"]))
    with tell.step("Run the image in a pod"):
        tell.say(f"kubectl run hello --image={status['image']} -n {NAMESPACE}")
        output = run_image(status["image"])
        tell.say("")
        tell.say("\n".join(f"    {line}" for line in output.splitlines()))
        tell.say("")
    _what_next(tell)


def _isolation(isolation: dict[str, Any]) -> str:
    """Return how the steps were kept apart, and why not better."""
    reason = f": {isolation['reason']}" if isolation.get("reason") else ""
    return f"steps were {isolation['kind']}, in a pod without any added capability{reason}"


def _what_next(tell: Narrator) -> None:
    tell.title(f"That took {tell.elapsed():.0f} s. Look around:")
    settings = environment()
    print(f"""
  export KUBECONFIG={settings["KUBECONFIG"]} PATH={binaries_directory()}:$PATH
  kubectl config set-context --current --namespace={NAMESPACE}
  kubectl get imagebuilds -o wide             the builds, with digest, isolation and duration
  kubectl get ib hello -o yaml                everything the status knows
  kubectl describe ib hello                   … and what happened
  kubectl logs job/$(kubectl get ib hello -o jsonpath='{{.status.job}}')
  kubectl explain imagebuild.spec             what can be asked for
  kubectl edit ib hello                       change the Dockerfile: a new run starts
  make demo-down                              remove all of this
""")


def stop() -> None:
    """Remove what the demo started."""
    down()
    print(f"The cluster is gone. Compiled programs and base images are kept in {CACHE}.")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up"]:
            action = start
        case ["down"]:
            action = stop
        case _:
            sys.exit(__doc__)
    try:
        action()
    except PROBLEMS as problem:
        sys.exit(f"error: {problem}")
