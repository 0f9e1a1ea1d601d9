"""Credentials of the clouds, by their official libraries, from local servers that speak their protocols.

Each lookup runs in a process of its own, with no other environment than a pod's: the libraries read theirs when they are
imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from tests.fixtures.servers.clouds import AWS, Azure, Google, running_cloud

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
LOOKUP = """
import json, sys
from strake_oci.credentials.{module} import {source}
from strake_oci.errors import CredentialError
from strake_oci.spec.reference import Repository
source = {source}({arguments})
try:
    found = [source.lookup(Repository(registry, "team/app")) for registry in sys.argv[1:]]
    print(json.dumps([one and [one.username, one.password, one.identity_token] for one in found]))
except CredentialError as error:
    print(json.dumps(str(error)))
"""


def lookup(module, source, *registries, arguments="", **environment):
    code = LOOKUP.format(module=module, source=source, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code, *registries],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "what a library says about its tries is ours to tell"
    return json.loads(done.stdout)


@pytest.fixture
def pod_token(tmp_path):
    path = tmp_path / "token"
    path.write_text("pod-token")
    return path


@pytest.fixture
def wrong_token(tmp_path):
    path = tmp_path / "wrong"
    path.write_text("stolen-token")
    return path


class TestAWS:
    def environment(self, host, **more):
        return {
            "AWS_ENDPOINT_URL_ECR": f"http://{host}",
            "AWS_ENDPOINT_URL_ECR_PUBLIC": f"http://{host}",
            "AWS_ENDPOINT_URL_STS": f"http://{host}",
            "AWS_MAX_ATTEMPTS": "1",
            **more,
        }

    def role(self, token):
        return {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/builder",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def test_role_of_the_pod(self, pod_token):
        with running_cloud(AWS) as (host, asked):
            environment = self.environment(host, **self.role(pod_token))
            found = lookup("aws", "ECRCredentials", ECR, ECR, "public.ecr.aws", "ghcr.io", **environment)
        assert found == [["AWS", "ecr-role", ""]] * 3 + [None]
        assert len(asked) == 2 + 2  # a role and a token each; the second lookup of a registry asks nobody

    def pod_identity(self, host, token):
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{host}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def test_pod_identity(self, pod_token):
        with running_cloud(AWS) as (host, _):
            environment = self.environment(host, **self.pod_identity(host, pod_token))
            assert lookup("aws", "ECRCredentials", ECR, **environment) == [["AWS", "ecr-role", ""]]

    def test_pod_identity_that_is_refused(self, wrong_token):
        with running_cloud(AWS) as (host, _):
            environment = self.environment(host, **self.pod_identity(host, wrong_token))
            words = lookup("aws", "ECRCredentials", ECR, **environment)
        assert "unknown token" in words
        assert "stolen-token" not in words

    def test_role_of_the_instance(self):
        with running_cloud(AWS) as (host, _):
            environment = self.environment(host, AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://{host}/")
            assert lookup("aws", "ECRCredentials", ECR, **environment) == [["AWS", "ecr-instance", ""]]

    def test_refusal_is_explained(self, wrong_token):
        with running_cloud(AWS) as (host, _):
            words = lookup("aws", "ECRCredentials", ECR, **self.environment(host, **self.role(wrong_token)))
        assert "InvalidIdentityToken" in words
        assert "service account" in words
        assert "stolen-token" not in words

    def test_no_role_at_all(self):
        words = lookup("aws", "ECRCredentials", ECR, AWS_EC2_METADATA_DISABLED="true")
        assert words.startswith(f"no credentials for {ECR} from AWS")
        assert lookup("aws", "ECRCredentials", "public.ecr.aws", AWS_EC2_METADATA_DISABLED="true") == [None]


class TestGoogle:
    REGISTRIES = ("europe-docker.pkg.dev", "eu.gcr.io", "gcr.io", "ghcr.io", "gcr.io.evil.com")

    def test_metadata_server(self):
        with running_cloud(Google) as (host, _):
            found = lookup(
                "gcp", "GoogleCredentials", *self.REGISTRIES, GCE_METADATA_HOST=host, GCE_METADATA_IP=host
            )
        assert found == [["oauth2accesstoken", "node", ""]] * 3 + [None, None]

    @pytest.mark.parametrize("status", [404, 403])
    def test_a_machine_without_an_account(self, status):
        """404 is the metadata server's word for none: public images are pulled without."""

        class Machine(Google):
            def answer(self, path):
                return (status, "no account\nmore") if "service-accounts" in path else super().answer(path)

        with running_cloud(Machine) as (host, _):
            found = lookup("gcp", "GoogleCredentials", "gcr.io", GCE_METADATA_HOST=host, GCE_METADATA_IP=host)
        if status == 404:
            assert found == [None]
        else:
            assert found.startswith("no credentials for gcr.io from Google: Failed to retrieve")
            assert "Status: 403" in found
            assert "object at" not in found

    def federated(self, tmp_path, host, token):
        path = tmp_path / "federation.json"
        path.write_text(
            json.dumps(
                {
                    "type": "external_account",
                    "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/k",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": f"http://{host}/sts",
                    "credential_source": {"file": str(token)},
                }
            )
        )
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(path), "NO_GCE_CHECK": "true"}

    def test_workload_identity_federation(self, tmp_path, pod_token):
        with running_cloud(Google) as (host, _):
            environment = self.federated(tmp_path, host, pod_token)
            found = lookup("gcp", "GoogleCredentials", "europe-docker.pkg.dev", **environment)
        assert found == [["oauth2accesstoken", "federated", ""]]

    def test_refusal_is_explained(self, tmp_path, wrong_token):
        with running_cloud(Google) as (host, _):
            environment = self.federated(tmp_path, host, wrong_token)
            words = lookup("gcp", "GoogleCredentials", "gcr.io", **environment)
        assert "unknown subject" in words
        assert "stolen-token" not in words

    def test_a_server_that_does_not_answer_is_asked_once(self):
        """Off Google every public image would wait for what nobody answers."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            host = f"127.0.0.1:{silent.getsockname()[1]}"
            asked = []

            def hang_up():
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = silent.accept()
                        asked.append(connection.recv(1000))
                        connection.close()

            thread = threading.Thread(target=hang_up, daemon=True)
            thread.start()
            found = lookup("gcp", "GoogleCredentials", "gcr.io", GCE_METADATA_HOST=host, GCE_METADATA_IP=host)
            silent.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert found == [None]
        assert len(asked) == 1

    def test_without_an_identity_images_are_public(self):
        assert lookup("gcp", "GoogleCredentials", "gcr.io", NO_GCE_CHECK="true") == [None]


class TestAzure:
    REGISTRY = "team.azurecr.io"

    def look(self, host, certificates, *registries, **environment):
        return lookup(
            "azure",
            "ACRCredentials",
            *registries,
            arguments=f"lambda registry: 'https://{host}/oauth2/exchange'",
            REQUESTS_CA_BUNDLE=str(certificates.ca),
            **environment,
        )

    def identity(self, host, token):
        return {
            "AZURE_AUTHORITY_HOST": f"https://{host}",
            "AZURE_TENANT_ID": "11111111-2222-3333-4444-555555555555",
            "AZURE_CLIENT_ID": "66666666-7777-8888-9999-000000000000",
            "AZURE_FEDERATED_TOKEN_FILE": str(token),
        }

    def test_workload_identity(self, certificates, pod_token):
        with running_cloud(Azure, certificates) as (host, _):
            environment = self.identity(host, pod_token)
            found = self.look(host, certificates, self.REGISTRY, "ghcr.io", **environment)
        assert found == [["", "", "acr-entra-pod"], None]

    def test_managed_identity(self, certificates):
        with running_cloud(Azure, certificates) as (host, _), running_cloud(Azure) as (plain, _):
            environment = {"IDENTITY_ENDPOINT": f"http://{plain}/msi", "IDENTITY_HEADER": "x"}
            found = self.look(host, certificates, self.REGISTRY, **environment)
        assert found == [["", "", "acr-entra-node"]]

    def test_refusal_is_explained(self, certificates, wrong_token):
        with running_cloud(Azure, certificates) as (host, _):
            words = self.look(host, certificates, self.REGISTRY, **self.identity(host, wrong_token))
        assert "AADSTS70021" in words
        assert "AcrPush" in words
        assert "stolen-token" not in words
