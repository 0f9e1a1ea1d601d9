"""Contexts in Google Cloud Storage and Azure Blob Storage, with each way to an identity, and without."""

from __future__ import annotations

import gzip
import json
import os
import subprocess

import pytest
import zstandard

from strake_api.requests.build import BuildRequest
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.artifacts import archive
from tests.fixtures.servers.certificates import make_certificates
from tests.fixtures.servers.clouds import Google, running_cloud
from tests.fixtures.servers.google_keys import TOKENS, running_google_tokens
from tests.fixtures.servers.object_stores import (
    BLOBS,
    GOOGLE,
    KEY,
    AzureStorage,
    GoogleStranger,
    guarded_gcs,
    running_azure,
    running_gcs,
)
from tests.fixtures.servers.proxy import running_proxy

TAR = archive({"app/Dockerfile": "FROM scratch\nCOPY motd /\n", "app/motd": "from a bucket\n"})
NAME = "ci/a b/über+1.tar.gz"
OBJECTS = {
    NAME: gzip.compress(TAR),
    "c.tar.zst": zstandard.compress(TAR),
    "context.tar.gz": gzip.compress(TAR),
}
OBJECTS["broken.tar.gz"] = gzip.compress(os.urandom(5000))[:2000]


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    return make_certificates(
        tmp_path_factory.mktemp("stores"), *(f"DNS:{each}" for each in (GOOGLE, TOKENS, BLOBS))
    )


@pytest.fixture(scope="module")
def emulator():
    with running_gcs(OBJECTS) as url:
        yield url


@pytest.fixture(scope="module")
def stores(trusted, emulator, tmp_path_factory):
    """The proxy that leads to both under their own names."""
    with (
        guarded_gcs(emulator, trusted) as google,
        running_azure(OBJECTS, trusted, tmp_path_factory.mktemp("azurite")) as azure,
        running_proxy() as proxy,
    ):
        proxy.ports = {GOOGLE: google, BLOBS: azure}
        yield proxy


@pytest.fixture
def build(trusted, stores, tmp_path):
    def run(*flags: str, command: str = "build", **variables: str) -> subprocess.CompletedProcess[str]:
        named = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HTTPS_PROXY": stores.url}
        named |= {"NO_PROXY": "localhost,127.0.0.1", "SSL_CERT_FILE": str(trusted.ca)}
        named |= {
            "REQUESTS_CA_BUNDLE": str(trusted.ca),
            "GCE_METADATA_HOST": "localhost:1",
            "GCE_METADATA_IP": "localhost:1",
        }
        flags = ("--context-sub-path=app", "--work-dir", tmp_path / "work", "-o", tmp_path / "out", *flags)
        done = run_strake([STRAKE, command, *flags], named | variables, 180)
        for secret in ("Bearer", "SharedKey", KEY, "eyJ"):
            assert secret not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def google():
    with running_cloud(Google) as (host, _):
        yield {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}


@pytest.fixture
def workload(trusted, tmp_path):
    (tmp_path / "token").write_text("pod-token")
    with running_cloud(AzureStorage, trusted) as (host, _):
        yield {
            "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
            "AZURE_TENANT_ID": "tenant",
            "AZURE_CLIENT_ID": "client",
            "AZURE_AUTHORITY_HOST": f"https://{host}",
        }


def assert_built(done, tmp_path):
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/motd").read_text() == "from a bucket\n"


@pytest.mark.parametrize("name", [NAME, "c.tar.zst"])
def test_a_service_account_of_google(build, google, tmp_path, name):
    assert_built(build("-c", f"gs://box/{name}", **google), tmp_path)


def test_kanikos_bucket_of_google(build, google, tmp_path):
    assert_built(build("--bucket=box", **google), tmp_path)


def test_an_object_of_google_that_everybody_may_read(build, tmp_path):
    assert_built(build("-c", f"gs://public/{NAME}"), tmp_path)


def test_an_emulator_of_google(build, emulator, tmp_path):
    host = emulator.removeprefix("http://")
    assert_built(build("-c", f"gs://box/{NAME}", STORAGE_EMULATOR_HOST=host), tmp_path)
    done = build("-c", f"gs://box/{NAME}", "--deny-network=127.0.0.0/8", STORAGE_EMULATOR_HOST=emulator)
    assert done.returncode == 4
    assert "a network that builds may not reach" in done.stderr


def test_an_account_of_google_that_may_not(build):
    with running_cloud(GoogleStranger) as (host, _):
        done = build("-c", f"gs://box/{NAME}", GCE_METADATA_HOST=host, GCE_METADATA_IP=host)
    assert done.returncode == 4
    assert f"cannot fetch gs://box/{NAME}" in done.stderr
    assert "check the name, and that the identity may read it (storage.objects.get)" in done.stderr


def test_nobody_at_google(build):
    done = build("-c", f"gs://box/{NAME}")
    assert done.returncode == 4
    assert "there is no identity: workload identity, $GOOGLE_APPLICATION_CREDENTIALS" in done.stderr


@pytest.mark.parametrize("url", ["gs://box/no", "gs://nobox/no"])
def test_what_is_not_there_at_google(build, google, url):
    done = build("-c", url, **google)
    assert done.returncode == 4
    assert f"cannot fetch {url}" in done.stderr
    assert "check the name" in done.stderr


def test_an_archive_that_breaks_off(build, google, tmp_path):
    done = build("-c", "gs://box/broken.tar.gz", **google)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [NAME, "ci/a%20b/%C3%BCber%2B1.tar.gz", "c.tar.zst"])
def test_the_key_of_an_account_of_azure(build, tmp_path, name):
    assert_built(build("-c", f"https://{BLOBS}/box/{name}", AZURE_STORAGE_ACCESS_KEY=KEY), tmp_path)


def test_a_workload_identity_of_azure(build, workload, tmp_path):
    assert_built(build("-c", f"https://{BLOBS}/box/{NAME}", **workload), tmp_path)


def test_a_blob_that_everybody_may_read(build, tmp_path):
    assert_built(build("-c", f"https://{BLOBS}/public/{NAME}"), tmp_path)


@pytest.mark.parametrize("key", ["", "d3Jvbmc="])
def test_others_at_azure(build, key):
    done = build("-c", f"https://{BLOBS}/box/{NAME}", AZURE_STORAGE_ACCESS_KEY=key)
    assert done.returncode == 4
    assert "check the name, and that the identity may read it (Storage Blob Data Reader)" in done.stderr
    assert ("there is no identity: set $AZURE_STORAGE_ACCESS_KEY" in done.stderr) == (not key)


@pytest.mark.parametrize("path", ["box/no", "nobox/no"])
def test_what_is_not_there_at_azure(build, path):
    done = build("-c", f"https://{BLOBS}/{path}", AZURE_STORAGE_ACCESS_KEY=KEY)
    assert done.returncode == 4
    assert f"cannot fetch https://{BLOBS}/{path}" in done.stderr


def test_a_key_that_is_none(build):
    done = build("-c", f"https://{BLOBS}/box/no", AZURE_STORAGE_ACCESS_KEY="no key!")
    assert done.returncode == 4
    assert "$AZURE_STORAGE_ACCESS_KEY is no key of a storage account" in done.stderr
    assert "no key!" not in done.stderr


def test_an_identity_that_azure_refuses(build, workload, tmp_path):
    (tmp_path / "token").write_text("another")
    done = build("-c", f"https://{BLOBS}/box/{NAME}", **workload)
    assert done.returncode == 4
    assert "no credentials for" in done.stderr
    assert "Storage Blob Data Reader" in done.stderr


@pytest.mark.parametrize("url", ["gs://box", "gs:///x", f"https://{BLOBS}/box"])
def test_what_names_no_object(build, url):
    done = build("-c", url)
    assert done.returncode == 4
    assert "names no" in done.stderr


def fetched(trusted, stores, directory, url, bucket, **keys):
    """Run the init container's command for a Secret, which trusts the platform's CA as a pod does."""
    mounted = directory / "secret"
    mounted.mkdir()
    for name, value in (keys | {"bucket": bucket}).items():
        (mounted / name.replace("_json", ".json")).write_text(value)
    source = {"url": url, "credentials": str(mounted), "fetched": str(directory / "source")}
    request = {
        "source": {"bucket": source},
        "ca": trusted.ca.read_text(),
        "output": {"destinations": ["r.example/app:1"]},
        "work_directory": str(directory),
    }
    (directory / "request.json").write_text(BuildRequest.model_validate(request).to_json())
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HTTPS_PROXY": stores.url}
    return run_strake([STRAKE, "fetch", "--request", directory / "request.json"], environment)


def test_the_account_key_of_a_secret_opens_the_blob_in_the_init_container(trusted, stores, tmp_path):
    box = f"https://{BLOBS}/box"
    done = fetched(trusted, stores, tmp_path, f"{box}/context.tar.gz", box, AZURE_STORAGE_ACCESS_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "source/archive").read_bytes() == OBJECTS["context.tar.gz"]
    assert KEY not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def account(trusted, stores):
    """A service account whose key names another server for tokens: an author's, say."""
    with running_google_tokens(trusted, "https://tokens.bad.example/token") as running:
        stores.ports[TOKENS] = running.port
        yield running


def test_the_key_of_a_service_account_opens_the_object_and_goes_to_google_alone(
    trusted, stores, account, tmp_path
):
    stores.asked.clear()
    key = json.dumps(account.key)
    done = fetched(trusted, stores, tmp_path, "gs://box/context.tar.gz", "gs://box", key_json=key)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "source/archive").read_bytes() == OBJECTS["context.tar.gz"]
    assert account.asked[-1] == "POST /token"
    assert stores.asked == [f"CONNECT {TOKENS}:443", f"CONNECT {GOOGLE}:443"], "nothing to token_uri"
    assert account.private not in done.stdout + done.stderr


@pytest.mark.parametrize("what", ["another key", "another bucket"])
def test_a_key_that_google_refuses_and_a_bucket_that_it_is_not_for(trusted, stores, account, tmp_path, what):
    stores.asked.clear()
    key, bucket, words = {
        "another key": (account.other, "gs://box", "Invalid JWT Signature"),
        "another bucket": (account.key, "gs://other", "the Secret of the source is not for gs://box"),
    }[what]
    done = fetched(trusted, stores, tmp_path, "gs://box/context.tar.gz", bucket, key_json=json.dumps(key))
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert (f"CONNECT {TOKENS}:443" in stores.asked) == (what == "another key")
    assert f"CONNECT {GOOGLE}:443" not in stores.asked
    assert key["private_key"].splitlines()[5] not in done.stdout + done.stderr
