"""The pages for who has a cluster, carried out: what they tell people to type, in a checkout, in the order of a platform's life.

Of what is typed the test changes what `HERE` tells, and nothing else: the registry and the git server of the pages
have names that nobody has, and the registry of the test cluster has no TLS.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.cluster.kubectl import kubectl
from tests.cluster.lifecycle import environment
from tests.cluster.objects import apply, get
from tests.cluster.settings import NODE_IP, REGISTRY
from tests.demo.installation import overlay_directory
from tests.e2e.conftest import TINY
from tests.fixtures.building import go_tools
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.certificates import make_certificates
from tests.images.layouts import cache_directory
from tests.images.own import INPUTS, ROOT
from tests.images.push import push_image
from tests.pages.blocks import Block, blocks, commands

PORT = 9421
PYTHON = f"{REGISTRY}/python:3.11"
INSTALL = "docs/install.md"
KANIKO = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "build"},
    "spec": {
        "containers": [
            {
                "name": "build",
                "image": "gcr.io/kaniko-project/executor:v1.24.0",
                "args": ["--context=git://git.example/team/app.git", "--destination=registry.example/api:1"],
            }
        ]
    },
}


@dataclass
class Checkout:
    """A reader's checkout, and the pages' commands typed in it.

    Attributes:
        directory: With the project's files.
        names: What the pages name → what there is here.
        variables: The environment.
        done: The blocks that were carried out.
    """

    directory: Path
    names: dict[str, str]
    variables: dict[str, str]
    done: set[tuple[str, int]] = field(default_factory=set)

    def here(self, text: str) -> str:
        """Return a text with what there is here."""
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def type(self, page: str, *having: str, where: str = "") -> str:
        """Type blocks of a page; return what they wrote to both outputs.

        Args:
            page: Its name.
            *having: Of its blocks those with one of these texts; all of them in their order where none is given.
            where: The directory, from that of the checkout.
        """
        written = ""
        for block in (each for each in commands() if each.page == page and each.in_cluster):
            if not having or any(each in block.text for each in having):
                written += self._block(block, where)
                self.done.add((page, block.number))
        return written

    def _block(self, block: Block, where: str) -> str:
        script = self.directory.parent / "script"
        script.write_text(self.here(block.script))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", str(script)],
            cwd=self.directory / where,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,  # a limit that only catches hangs
        )
        assert done.returncode == 0, f"{block.page}: {block.text}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def checkout(namespace, tmp_path) -> Checkout:
    """Return a copy of this tree, in which the example's manifest has a destination of the reader's."""
    directory = tmp_path / "strake"
    directory.mkdir()
    for name in (*INPUTS, "Makefile", "charts", "crds", "deploy", "examples"):
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, directory / name, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, directory / name)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "helm").symlink_to(go_tools.helm(3))
    (directory / ".venv").mkdir()
    (directory / ".venv/bin").symlink_to(STRAKE.parent)
    (directory / ".venv/.ready").touch()
    values = tmp_path / "here.yaml"
    values.write_text(json.dumps({"replicas": 1, "settings": {"insecureRegistries": [REGISTRY]}}))
    config = tmp_path / "kubeconfig"
    shutil.copy(environment()["KUBECONFIG"], config)
    insecure = f"--insecure-registry={REGISTRY}"
    names = {
        "registry.example": f"{REGISTRY}/{namespace}",
        "https://git.example": f"git://{NODE_IP}:{PORT}",
        "charts/strake --namespace": f"charts/strake --values {values} --namespace",
        "kubectl strake build": f"kubectl strake build {insecure}",
        "kubectl strake ui": f"kubectl strake ui {insecure}",
        "    build --context": f"    build {insecure} --context",
    }
    flags = [f"--build-arg=BASE={PYTHON}", insecure, f"--work-dir={tmp_path}/work", "--cache-max-size=2GiB"]
    variables = {
        **os.environ,
        **environment(),
        "KUBECONFIG": str(config),
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(programs), str(STRAKE.parent), environment()["PATH"]]),
        "BUILD_FLAGS": " ".join([*flags, f"--cache-dir={cache_directory().parent}/steps"]),
        "TOKEN": "a-token",
    }
    found = Checkout(directory, names, variables)
    for file in ("examples/hello/imagebuild.yaml", "deploy/kustomization.yaml"):
        path = directory / file
        path.write_text(found.here(path.read_text()).replace("debian:12", TINY))
    push_image("python", PYTHON)
    kubectl("config", "set-context", "--current", f"--namespace={namespace}", f"--kubeconfig={config}")
    return found


@pytest.fixture
def removed(platform, namespace) -> Iterator[None]:
    """Have a cluster without Strake, as a platform team has; afterwards as it was."""
    kubectl("delete", "-k", str(overlay_directory("strake")), "--ignore-not-found")
    yield
    kubectl("delete", "namespace", "--ignore-not-found", "strake-system", "strake-seccomp", "team", "argocd")
    kubectl("delete", "crd", "--ignore-not-found", "imagebuilds.strake.dev", "buildpolicies.strake.dev")
    platform.install()


@pytest.fixture
def repositories(tmp_path) -> Iterator[str]:
    """Serve the repositories that the pages name; return the commit of their branch main."""
    top = tmp_path / "git"
    work = top / "app.git"
    work.mkdir(parents=True)
    (work / "Dockerfile").write_text(f"FROM {TINY}\nCOPY motd /\n")
    (work / "motd").write_text("hello\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-C", work, *who, *words], check=True)
    (top / "team").mkdir()
    for name in ("team/app.git", "api"):
        (top / name).symlink_to(work)
    commit = subprocess.run(["git", "-C", work, "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    command = ["git", "daemon", "--export-all", "--reuseaddr", f"--base-path={top}"]
    with subprocess.Popen(
        [*command, f"--listen={NODE_IP}", f"--port={PORT}"], stderr=subprocess.DEVNULL
    ) as it:
        yield commit.strip()
        it.terminate()


def of_page(page: str, number: int = 0) -> str:
    """Return a block of YAML of a page."""
    return [text for name, text in blocks("yaml") if name == page][number]


@pytest.mark.timeout(1800)  # the life of an installation, on a busy machine
def test_what_the_pages_tell_people_to_type(alone, removed, checkout, repositories, namespace, tmp_path):
    """One test: each page leaves the cluster as the next one's reader has it."""
    authority = textwrap.indent(make_certificates(tmp_path).ca.read_text(), "      ")
    values = of_page(INSTALL).replace(
        textwrap.indent("-----BEGIN CERTIFICATE-----\n…\n", "      "), authority
    )
    (checkout.directory / "values.yaml").write_text(checkout.here(values))
    somebody_in_a_hurry(checkout, namespace)
    a_platform_team(checkout)
    a_developer(checkout, tmp_path)
    a_gitops_repository(checkout, repositories)
    without_the_operator(checkout, namespace)
    from_a_terminal(checkout, namespace)
    the_life_of_an_installation(checkout)
    in_cluster = {(each.page, each.number) for each in commands() if each.in_cluster and each.script.strip()}
    assert in_cluster - checkout.done == set(), "each block is typed"


def somebody_in_a_hurry(checkout: Checkout, namespace: str) -> None:
    shown = checkout.type("README.md").splitlines()[-1].split()
    assert shown[:2] == ["hello", "Succeeded"]
    kubectl("delete", "imagebuild", "hello", "-n", namespace)
    checkout.type(INSTALL, "helm uninstall")  # the next page begins without Strake


def a_platform_team(checkout: Checkout) -> None:
    written = checkout.type("docs/start/platform.md", "helm install")
    assert re.search("(?m)^Phase: +Succeeded$", written), "helm test shows how it ended"
    written = checkout.type("docs/start/platform.md", "kubectl create namespace team")
    shown = written.splitlines()[-1].split()
    assert shown[:2] == ["hello", "Succeeded"]
    assert {"nested", "chroot"} & set(shown), "the column ISOLATION"
    policy = yaml.safe_load(of_page("docs/start/platform.md"))
    apply(policy)
    kubectl("delete", "buildpolicy", policy["metadata"]["name"])


def a_developer(checkout: Checkout, top: Path) -> None:
    app = top / "app"
    app.mkdir()
    (app / "Dockerfile").write_text(f"FROM {TINY}\nCOPY motd /\nRUN cat /motd\n")
    (app / "motd").write_text("hello\n")
    page = "docs/start/developer.md"
    assert "No ImageBuilds found" in checkout.type(page, "kubectl strake get")
    checkout.type(page, "kubectl create secret")
    image = checkout.type(page, "kubectl strake build", where="../app").splitlines()[-1]
    assert re.fullmatch(checkout.here("registry.example/team/app@sha256:[0-9a-f]{64}"), image)
    checkout.type(page, "kubectl strake create")
    assert "Succeeded" in checkout.type(page, "kubectl strake rerun")


def a_gitops_repository(checkout: Checkout, commit: str) -> None:
    manifest = yaml.safe_load(checkout.here(of_page("docs/start/gitops.md")))
    manifest["spec"]["source"]["git"]["ref"] = commit
    kubectl("create", "secret", "docker-registry", "registry-push", "-n", "team", "--docker-server=x",
            "--docker-username=x", "--docker-password=x")  # fmt: skip
    apply(manifest, "team")
    kubectl("wait", "--for=condition=Finished", "imagebuild/app", "-n", "team", "--timeout=200s")
    (made,) = get("imagebuild", "app", "-n", "team")["status"]["references"]
    assert re.search(rf":{commit[:7]}-[0-9]+", made)
    kubectl("create", "namespace", "argocd")
    kubectl("create", "configmap", "argocd-cm", "-n", "argocd")
    checkout.type("docs/start/gitops.md")
    assert "strake.dev_ImageBuild" in json.dumps(get("configmap", "argocd-cm", "-n", "argocd")["data"])
    kubectl("delete", "namespace", "argocd", "team", "--wait=false")


def without_the_operator(checkout: Checkout, namespace: str) -> None:
    checkout.type("docs/isolation.md")
    ended = ["--for=jsonpath={.status.phase}=Succeeded", "--timeout=200s"]
    kubectl("wait", "pod/build", *ended, "-n", namespace)


def from_a_terminal(checkout: Checkout, namespace: str) -> None:
    (gitlab,) = [text for page, text in blocks("yaml") if page == "docs/from-kaniko.md" and "GitLab" in text]
    app = checkout.directory.parent / "app"
    (app / ".gitlab-ci.yml").write_text(checkout.here(gitlab))
    (app / "pod.yaml").write_text(checkout.here(json.dumps(KANIKO)))
    written = checkout.type("docs/kubectl.md", where="../app")
    assert yaml.safe_load((app / "api.yaml").read_text())["spec"]["source"]["configMap"] == {
        "name": "context"
    }
    assert written.count("kind: ImageBuild") == 2
    ended = ["--for=condition=Finished", "--timeout=200s", f"-n={namespace}"]
    kubectl("wait", "imagebuild/api", *ended)  # a report of a build that goes on has no image
    checkout.type("docs/ui.md", where="../app")
    assert "https://slsa.dev/provenance/v1" in (app / "build.html").read_text()


def the_life_of_an_installation(checkout: Checkout) -> None:
    """Sections of the page in the order in which a platform needs them; what was released is there."""
    checkout.type(INSTALL, "--set-json")
    assert kubectl("get", "buildpolicies", "-o=name") == "buildpolicy.strake.dev/teams\n"
    checkout.type(INSTALL, "strake-system --values values.yaml\n")
    kubectl("-n", "strake-system", "rollout", "status", "deployment/strake-operator", "--timeout=200s")
    assert "kind: CustomResourceDefinition" in checkout.type(INSTALL, "helm template")
    checkout.type(INSTALL, "seccompProfile.enabled")
    checkout.type(INSTALL, "helm uninstall")
    assert "imagebuild.strake.dev/app-main" in kubectl("get", "imagebuilds", "-A", "-o=name")
    checkout.type(INSTALL, "helm test")
    checkout.type(INSTALL, "helm uninstall", "delete crd", "apply -k")
    kubectl("-n", "strake-system", "rollout", "status", "deployment/strake-operator", "--timeout=200s")
    checkout.type(INSTALL, "deploy/operator.yaml")
    assert kubectl("get", "deployments", "-n=strake-system", "-o=name") == ""
    assert "imagebuilds.strake.dev" in kubectl("get", "crds", "-o=name")
    checkout.type(INSTALL, "--take-ownership")
    checkout.type(INSTALL, "helm uninstall")
