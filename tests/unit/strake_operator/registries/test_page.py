"""docs/operator.md and deploy/ about registries: examples that work, every field explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from strake_operator.registries.document import PlatformRegistries, PlatformRegistry, Proxy
from strake_operator.registries.reading import read_registries

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/operator.md").read_text()
SHIPPED = ROOT / "deploy/registries.yaml"


def names(model, path=""):
    return [path + (field.alias or name) for name, field in model.model_fields.items()]


@pytest.mark.parametrize(
    "field",
    [
        *names(PlatformRegistry),
        *names(Proxy, "proxy."),
        *(name for name in names(PlatformRegistries) if name != "proxy"),
    ],
)
def test_every_field_is_explained(field):
    rows = "".join(re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE))
    assert f"`{field}`" in rows


def read(text, directory, certificates):
    (directory / "registries.yaml").write_text(text)
    for name in ("company-ca.crt", "partner-ca.crt"):
        (directory / name).write_text(certificates.ca.read_text())
    return read_registries(str(directory / "registries.yaml"))[0]


def test_the_example_on_the_page(tmp_path, certificates):
    (example,) = re.findall(r"```yaml\n(caFile:.*?)```", PAGE, re.DOTALL)
    assert len(read(example, tmp_path, certificates).registries) == 4


def test_what_is_shipped_says_nothing():
    assert read_registries(str(SHIPPED))[0] == PlatformRegistries()


def test_what_is_shipped_works_when_the_comments_go(tmp_path, certificates):
    lines = SHIPPED.read_text().splitlines()
    text = "\n".join(re.sub("^# ?", "", line) for line in lines[2:-1])
    found = read(text, tmp_path, certificates)
    assert found.proxy.no_proxy
    assert found.registries["docker.io"].mirrors


def test_the_operator_mounts_what_kustomize_makes():
    (deployment,) = yaml.safe_load_all((ROOT / "deploy/operator.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    mount = next(each for each in container["volumeMounts"] if each["name"] == "registries")
    volume = next(each for each in pod["volumes"] if each["name"] == "registries")
    made = yaml.safe_load((ROOT / "deploy/kustomization.yaml").read_text())["configMapGenerator"]
    files = {each["name"]: each.get("files", []) for each in made}
    assert volume["name"] == mount["name"]
    assert files[volume["configMap"]["name"]] == ["registries.yaml"]
    assert variables["STRAKE_REGISTRIES_FILE"] == f"{mount['mountPath']}/registries.yaml"
