"""The platform's file as it is now, through the links by which Kubernetes mounts a ConfigMap."""

from __future__ import annotations

import logging
import os
import shutil

import pytest

from strake_operator.errors import SettingsError
from strake_operator.registries.source import RegistriesSource, open_registries
from tests.fixtures.servers.certificates import make_certificates


class ConfigMap:
    """A directory as the kubelet writes it: files are links into `..data`, itself a link that is replaced."""

    def __init__(self, directory):
        self.directory = directory
        self._version = 0

    @property
    def path(self) -> str:
        return str(self.directory / "registries.yaml")

    def update(self, **files: str) -> None:
        self._version += 1
        data = self.directory / f"..{self._version}"
        data.mkdir(parents=True)
        for name, content in files.items():
            (data / name.replace("_", ".")).write_text(content)
        new = self.directory / "..data_tmp"
        new.symlink_to(data.name)
        new.rename(self.directory / "..data")
        for name in os.listdir(data):
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        shutil.rmtree(self.directory / f"..{self._version - 1}", ignore_errors=True)


@pytest.fixture
def config_map(tmp_path):
    return ConfigMap(tmp_path / "mounted")


def mirrors(*names: str) -> str:
    return f"registries: {{docker.io: {{mirrors: [{', '.join(names)}]}}}}"


def of(source: RegistriesSource) -> tuple[str, ...]:
    return source.current().registries["docker.io"].mirrors


def test_a_changed_file_holds_for_the_next_run(config_map):
    config_map.update(registries_yaml=mirrors("one.example"))
    source = RegistriesSource(config_map.path)
    before = source.current()
    assert source.current() is before
    config_map.update(registries_yaml=mirrors("two.example"))
    assert of(source) == ("two.example",)


def test_a_changed_authority_too(config_map, tmp_path):
    first, second = (tmp_path / "first", tmp_path / "second")
    for folder in (first, second):
        folder.mkdir()
    cas = [make_certificates(folder).ca.read_text() for folder in (first, second)]
    text = "registries: {r.example: {caFile: ca.crt}}"
    config_map.update(registries_yaml=text, ca_crt=cas[0])
    source = RegistriesSource(config_map.path)
    assert source.current().registries["r.example"].ca == cas[0]
    config_map.update(registries_yaml=text, ca_crt=cas[1])
    assert source.current().registries["r.example"].ca == cas[1]


def test_a_file_that_turned_bad_changes_nothing_and_is_told_once(config_map, caplog):
    config_map.update(registries_yaml=mirrors("one.example"))
    source = RegistriesSource(config_map.path)
    config_map.update(registries_yaml=mirrors("https://two.example"))
    with caplog.at_level(logging.ERROR):
        assert of(source) == of(source) == ("one.example",)
    (record,) = caplog.records
    assert "mirrors[0]" in record.message
    config_map.update(registries_yaml=mirrors("three.example"))
    assert of(source) == ("three.example",)


def test_an_authority_that_comes_late_is_found(tmp_path):
    """Files that are no ConfigMap's change one by one."""
    file = tmp_path / "registries.yaml"
    file.write_text(mirrors("one.example"))
    source = RegistriesSource(str(file))
    file.write_text("registries: {docker.io: {caFile: ca.crt, mirrors: [two.example]}}")
    assert of(source) == ("one.example",)
    (tmp_path / "ca.crt").write_text(make_certificates(tmp_path).ca.read_text())
    assert of(source) == ("two.example",)


def test_a_file_that_is_gone_changes_nothing(tmp_path):
    file = tmp_path / "registries.yaml"
    file.write_text(mirrors("one.example"))
    source = RegistriesSource(str(file))
    file.unlink()
    assert of(source) == ("one.example",)


def test_the_environment_names_it_all(tmp_path):
    file = tmp_path / "registries.yaml"
    file.write_text(mirrors("one.example"))
    source = open_registries(
        {"STRAKE_REGISTRIES_FILE": str(file), "STRAKE_INSECURE_REGISTRIES": "a:5000, b:5000\nc"}
    )
    found = source.current().registries
    assert {host for host, registry in found.items() if registry.insecure} == {"a:5000", "b:5000", "c"}
    assert found["docker.io"].mirrors == ("one.example",)


def test_nothing_is_needed():
    assert open_registries({}).current().registries == {}


def test_a_mistake_at_the_start_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot read"):
        open_registries({"STRAKE_REGISTRIES_FILE": str(tmp_path / "none")})
