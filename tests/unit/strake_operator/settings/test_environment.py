"""The operator's environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from strake_operator.errors import SettingsError
from strake_operator.settings.environment import read_settings

ROOT = Path(__file__).parents[4]
IMAGE = {"STRAKE_BUILDER_IMAGE": "r.example/strake:1"}
MANY = [f"r.example/base{number}@sha256:{'e' * 64}" for number in range(9)]


def test_defaults():
    settings = read_settings(IMAGE)
    assert settings.builder_image == "r.example/strake:1"
    assert settings.native_nodes_only is False
    assert (settings.attempts, settings.grace_seconds) == (3, 30)
    assert (settings.isolation, settings.seccomp_profile, settings.runtime_class) == ("auto", None, None)


def test_a_profile_of_the_nodes():
    settings = read_settings({**IMAGE, "STRAKE_SECCOMP_PROFILE": "localhost/strake/builder.json"})
    assert settings.seccomp_profile == "strake/builder.json"


def test_a_limit_that_is_set_to_nothing_is_none():
    limits = {f"STRAKE_DEFAULT_{kind}_LIMIT": " " for kind in ("CPU", "MEMORY", "DISK")}
    found = read_settings({**IMAGE, **limits}).resources
    assert (found.cpu_limit, found.memory_limit, found.disk_limit) == (None, None, None)
    assert found.memory_request == "256Mi"


def test_what_deploy_sets_is_what_counts_without_it():
    """Somebody who drops a line from the ConfigMap changes nothing."""
    (generated,) = [
        each
        for each in yaml.safe_load((ROOT / "deploy/kustomization.yaml").read_text())["configMapGenerator"]
        if each["name"] == "strake-operator"
    ]
    deployed = dict(each.split("=", 1) for each in generated["literals"])
    assert read_settings(deployed).resources == read_settings(IMAGE).resources
    assert read_settings(deployed).isolation == read_settings(IMAGE).isolation


def test_base_images_of_the_platform_are_listed_as_the_kubelet_pulls_them():
    text = f"debian@sha256:{'e' * 64},\n{MANY[1]}"
    listed = read_settings({**IMAGE, "STRAKE_BASE_IMAGES": text}).base_images
    assert listed == (f"docker.io/library/debian@sha256:{'e' * 64}", MANY[1])


def test_no_default_cache_is_an_empty_one():
    assert read_settings({**IMAGE, "STRAKE_DEFAULT_CACHE_REPOSITORY": " "}).default_cache is None


def test_metadata_is_denied_unless_it_is_opened():
    settings = read_settings(IMAGE)
    assert {"169.254.0.0/16", "127.0.0.0/8", "fd00:ec2::/32"} <= set(settings.denied_networks)
    assert settings.allowed_networks == ()


def test_the_platform_adds_networks_and_opens_some():
    lists = {
        "STRAKE_DENY_NETWORKS": "10.0.0.0/8, fd12::/16\n",
        "STRAKE_ALLOW_NETWORKS": "10.96.5.1",
    }
    settings = read_settings({**IMAGE, **lists})
    assert settings.denied_networks[-2:] == ("10.0.0.0/8", "fd12::/16")
    assert "169.254.0.0/16" in settings.denied_networks
    assert settings.allowed_networks == ("10.96.5.1/32",)


def test_platforms_that_any_node_builds_are_listed():
    text = "linux/arm64/v8, linux/arm/v6\n"
    assert read_settings({**IMAGE, "STRAKE_EMULATED_PLATFORMS": text}).emulated_platforms == (
        "linux/arm64",
        "linux/arm/v6",
    )


@pytest.mark.parametrize("text", ["", " "])
def test_no_ceiling_of_its_own_is_an_empty_one(text):
    assert read_settings({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": text}).max_unpacked_size is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "STRAKE_BUILDER_IMAGE is not set"),
        (
            {**IMAGE, "STRAKE_DEFAULT_CACHE_REPOSITORY": "r.example/cache"},
            "STRAKE_DEFAULT_CACHE_REPOSITORY must",
        ),
        (
            {**IMAGE, "STRAKE_LOG_REPOSITORY": "r.example/logs"},
            "STRAKE_LOG_REPOSITORY must hold {namespace}, as in registry.example/cache/{namespace}: a tenant could",
        ),
        ({**IMAGE, "STRAKE_LOG_REPOSITORY": "R.example/../{namespace}"}, "STRAKE_LOG_REPOSITORY must"),
        ({**IMAGE, "STRAKE_NATIVE_NODES": "always"}, "STRAKE_NATIVE_NODES must be preferred or required"),
        ({**IMAGE, "STRAKE_EMULATED_PLATFORMS": "arm64"}, "STRAKE_EMULATED_PLATFORMS lists 'arm64'"),
        ({**IMAGE, "STRAKE_EMULATED_PLATFORMS": "windows/amd64"}, "only images for Linux"),
        (
            {**IMAGE, "STRAKE_ISOLATION": "privileged"},
            "STRAKE_ISOLATION must be auto, nested or chroot, not 'privileged'",
        ),
        ({**IMAGE, "STRAKE_SECCOMP_PROFILE": "Unconfined"}, "as localhost/strake-builder.json"),
        ({**IMAGE, "STRAKE_SECCOMP_PROFILE": "localhost/../x.json"}, "as localhost/strake-builder.json"),
        ({**IMAGE, "STRAKE_SECCOMP_PROFILE": "localhost//etc/x"}, "as localhost/strake-builder.json"),
        ({**IMAGE, "STRAKE_BASE_VOLUMES": "yes"}, "STRAKE_BASE_VOLUMES must be auto or off"),
        ({**IMAGE, "STRAKE_BASE_IMAGES": "debian:12"}, "must list images by digest"),
        ({**IMAGE, "STRAKE_BASE_IMAGES": "https://debian"}, "STRAKE_BASE_IMAGES lists 'https://debian'"),
        ({**IMAGE, "STRAKE_BASE_IMAGES": ", ".join(MANY)}, "lists 9 images: a pod mounts 8 at most"),
        ({**IMAGE, "STRAKE_RUNTIME_CLASS": "Kata Containers"}, "STRAKE_RUNTIME_CLASS must be the name"),
        ({**IMAGE, "STRAKE_DEFAULT_MEMORY_LIMIT": "4GB"}, "STRAKE_DEFAULT_MEMORY_LIMIT must be a quantity"),
        ({**IMAGE, "STRAKE_DEFAULT_CPU_REQUEST": "much"}, "STRAKE_DEFAULT_CPU_REQUEST must be a quantity"),
        ({**IMAGE, "STRAKE_DEFAULT_DISK_LIMIT": "0"}, "STRAKE_DEFAULT_DISK_LIMIT must be more than nothing"),
        (
            {**IMAGE, "STRAKE_DEFAULT_DISK_REQUEST": "30Gi"},
            "STRAKE_DEFAULT_DISK_REQUEST must not be more than STRAKE_DEFAULT_DISK_LIMIT: 30Gi is more",
        ),
        ({**IMAGE, "STRAKE_ATTEMPTS": "0"}, "STRAKE_ATTEMPTS"),
        ({**IMAGE, "STRAKE_GRACE_SECONDS": "soon"}, "STRAKE_GRACE_SECONDS"),
        (
            {**IMAGE, "STRAKE_DENY_NETWORKS": "10.0.0.1/8"},
            "STRAKE_DENY_NETWORKS: '10.0.0.1/8' has bits set",
        ),
        (
            {**IMAGE, "STRAKE_ALLOW_NETWORKS": "example"},
            "STRAKE_ALLOW_NETWORKS: 'example' is no network; write",
        ),
        ({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": "much"}, "STRAKE_MAX_UNPACKED_SIZE must be a size"),
        ({**IMAGE, "STRAKE_MAX_UNPACKED_SIZE": "0"}, "STRAKE_MAX_UNPACKED_SIZE must leave room"),
    ],
)
def test_mistakes_name_the_variable(environment, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(environment)
