"""A context in a bucket that the identity of the pod's ServiceAccount opens, as IRSA gives it on EKS."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack

import pytest
from botocore.session import get_session

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import authenticated
from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, pods, run_image
from tests.e2e.conftest import TINY
from tests.e2e.pod_identity import AUDIENCE, TOKEN, identity
from tests.fixtures.content.artifacts import archive
from tests.fixtures.servers.clouds import Cloud, running_cloud
from tests.fixtures.servers.s3 import running_s3

ACCOUNT = "builder"
APP = archive(
    {"Dockerfile": f"FROM {TINY}\nCOPY motd /\nRUN env > /found; ls /var/run/secrets >> /found 2>&1; true\nCMD cat /motd /found\n",
     "motd": "from a bucket\n"}
)  # fmt: skip
_ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId>
<SecretAccessKey>{SecretAccessKey}</SecretAccessKey><SessionToken>{SessionToken}</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
_REFUSED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yours</Message></Error></ErrorResponse>"
)


@pytest.fixture(scope="module")
def s3():
    with running_s3({"ci/app.tar": APP}, NODE_IP) as running:
        yield running


@pytest.fixture
def pod_of_a_role(namespace, s3):
    """Have the init container `source` of builds be the role's, if the API server knows its token as the account's."""
    keys = {
        "aws_access_key_id": s3.broker["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": s3.broker["AWS_SECRET_ACCESS_KEY"],
    }
    broker = get_session().create_client("sts", region_name="us-east-1", endpoint_url=s3.url, **keys)

    class STS(Cloud):
        def answer(self, path):
            who = authenticated(self.form["WebIdentityToken"], AUDIENCE)
            if who != f"system:serviceaccount:{namespace}:{ACCOUNT}" or self.form["RoleArn"] != s3.role:
                return 403, _REFUSED
            given = broker.assume_role(RoleArn=s3.role, RoleSessionName="build")["Credentials"]
            return 200, _ANSWER.format(**given)

    with ExitStack() as stack:
        sts, asked = stack.enter_context(running_cloud(STS, address=NODE_IP))
        variables = {
            **TOKEN,
            "AWS_ROLE_ARN": s3.role,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_STS": f"http://{sts}",
        }
        stack.enter_context(identity(namespace, "initContainers/0", variables))
        yield asked


def source(s3):
    checksum = f"sha256:{hashlib.sha256(APP).hexdigest()}"
    named = {"bucket": "box", "key": "ci/app.tar", "endpoint": s3.url, "region": "us-east-1"}
    return {"s3": {**named, "checksum": checksum}}


def test_the_role_of_a_service_account_opens_a_bucket(namespace, s3, pod_of_a_role):
    kubectl("create", "serviceaccount", ACCOUNT, "-n", namespace)
    status = build(namespace, "", source=source(s3), serviceAccountName=ACCOUNT)
    assert status["phase"] == "Succeeded", status
    assert pod_of_a_role == ["POST /"], "one token was changed for keys"
    shown = run_image(namespace, status["image"])
    assert shown.startswith("from a bucket\n")
    assert "PATH=" in shown, "the step's environment was read"
    assert "AWS_" not in shown
    assert "eks.amazonaws.com" not in shown


def test_an_account_that_has_not_the_role(namespace, s3, pod_of_a_role):
    kubectl("create", "serviceaccount", "other", "-n", namespace)
    status = build(namespace, "", source=source(s3), serviceAccountName="other")
    failure = status["failure"]
    assert failure["reason"] == "SourceFetchFailed", status
    assert "cannot sign for s3://box/ci/app.tar" in failure["message"]
    assert "AccessDenied" in failure["message"]
    (pod,) = pods(namespace)
    assert "eyJ" not in kubectl("logs", pod, "-n", namespace, "-c", "source"), "no token"
