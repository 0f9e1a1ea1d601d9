"""Credentials in variables, as CI systems and pipelines made for kaniko have them."""

from __future__ import annotations

import pytest

from strake_oci.credentials.variables import GitLabVariables, KanikoVariables
from strake_oci.spec.reference import Repository


def both(prefix: str) -> dict[str, str]:
    return {f"{prefix}_USER": "me", f"{prefix}_PASSWORD": f"for {prefix}"}


@pytest.mark.parametrize(
    ("registry", "environment", "password"),
    [
        ("r.example.com", both("KANIKO_R_EXAMPLE_COM"), "for KANIKO_R_EXAMPLE_COM"),
        ("r.example.com", both("KANIKO_EXAMPLE_COM") | both("KANIKO_COM"), "for KANIKO_EXAMPLE_COM"),
        ("my-r.example", both("KANIKO_MY_R_EXAMPLE"), "for KANIKO_MY_R_EXAMPLE"),
        ("r.example:5000", both("KANIKO_R_EXAMPLE_5000"), "for KANIKO_R_EXAMPLE_5000"),
        ("r.example", {"KANIKO_R_EXAMPLE_USER": "me"}, None),
        ("r.example", both("KANIKO_OTHER_EXAMPLE"), None),
        ("r.example", {}, None),
    ],
)
def test_kanikos_variables(registry, environment, password):
    found = KanikoVariables(environment).lookup(Repository(registry, "app"))
    assert (found.password if found else None) == password
    assert "for KANIKO" not in repr(found)


GITLAB = {
    "CI_REGISTRY": "gitlab.example:5050",
    "CI_REGISTRY_USER": "gitlab-ci-token",
    "CI_REGISTRY_PASSWORD": "of the job",
    "CI_DEPENDENCY_PROXY_SERVER": "gitlab.example:443",
    "CI_DEPENDENCY_PROXY_USER": "proxy",
    "CI_DEPENDENCY_PROXY_PASSWORD": "of the proxy",
}


@pytest.mark.parametrize(
    ("registry", "password"),
    [("gitlab.example:5050", "of the job"), ("gitlab.example", "of the proxy"), ("other.example", None)],
)
def test_a_gitlab_job_knows_its_own_registries_alone(registry, password):
    found = GitLabVariables(GITLAB).lookup(Repository(registry, "group/app"))
    assert (found.password if found else None) == password


def test_without_a_password_there_is_none():
    environment = GITLAB | {"CI_REGISTRY_PASSWORD": ""}
    assert GitLabVariables(environment).lookup(Repository("gitlab.example:5050", "app")) is None
