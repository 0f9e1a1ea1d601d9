"""Images that Strake signed, before the admission controllers of a cluster: which are let in, and which are not.

The policies are those of examples/admission, with which a reader begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fixtures.building.builds import Builder
from tests.fixtures.servers.admission import (
    Verdict,
    kyverno_says,
    policies,
    policy_controller_says,
    replaced,
)
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.fixtures.servers.signing import running_referrers_registry
from tests.fixtures.servers.web import make_repository, running_web_server
from tests.images.push import push_image
from tests.pages.blocks import blocks
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

SCAN = """\
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],\
"predicate":{"spdxVersion":"SPDX-2.3","name":"app"}}' > "$BUILDKIT_SCAN_DESTINATION/app.spdx.json"
"""
FORMS = ("legacy", "bundle", "both")
INDEXES = ("in an index", "several platforms")
FLAGS = {
    "legacy": ("--provenance=min", "--sbom", "--sign-key=KEY", "--sign-form=legacy"),
    "bundle": ("--provenance=min", "--sbom", "--sign-key=KEY", "--sign-form=bundle"),
    "both": ("--provenance=min", "--sbom", "--sign-key=KEY"),
    "in an index": ("--provenance=min", "--attestation-form=index", "--sign-key=KEY"),
    "several platforms": ("--provenance=min", "--sign-key=KEY", "--platform=linux/amd64,linux/arm64"),
    "unsigned": ("--provenance=min",),
    "of another key": ("--provenance=min", "--sbom", "--sign-key=OTHER"),
    "an SBOM alone": ("--sbom", "--sign-key=KEY"),
    "another builder": ("--attest=type=provenance,builder-id=https://other.example", "--sign-key=KEY"),
}
"""Image → how it is built."""


@dataclass
class Images:
    """Images of a registry, each built when it is first asked for, by the digests that their tags name.

    Both controllers put the digest into a Pod before they verify it: `kyverno apply` wants it there.

    Attributes:
        names: Of those that are judged.
        verdicts: What controllers found by their policies.
    """

    registry: LocalRegistry
    directory: Path
    names: Sequence[str]
    built: dict[str, str] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Mapping[str, Verdict]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        if name not in self.built:
            self.built[name] = self.build(f"admitted/{len(self.built)}", *FLAGS[name])
        return self.built[name]

    def build(
        self, repository: str, *flags: str, dockerfile: str = "FROM scratch\nCOPY Dockerfile /\n"
    ) -> str:
        builder = Builder(self.registry, self.directory, repository)
        builder.context(dockerfile, scan=SCAN)
        keys = {"KEY": self.directory / "cosign.key", "OTHER": self.directory / "other.key"}
        words = []
        for each in flags:
            name, equals, value = each.partition("=")
            words.append(f"{name}={keys[value]}" if value in keys else f"{name}{equals}{value}")
        if "--sbom" in words:
            words[words.index("--sbom")] = f"--sbom=generator={self.registry.host}/scanner:1"
        done = builder.run(*words, COSIGN_PASSWORD=PASSWORD.decode())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module", params=["without the API", "with the API"])
def images(request, tmp_path_factory):
    """Images in a registry, with and without a list of referrers of its own."""
    directory = tmp_path_factory.mktemp("images")
    (directory / "cosign.key").write_bytes(KEY)
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "other.key").write_bytes(pem)
    bare = "without" in request.param
    with running_registry() if bare else running_referrers_registry() as registry:
        push_image("tiny", f"{registry.host}/library/busybox:1")
        made = Images(registry, directory, [*FORMS, *INDEXES] if bare else list(FLAGS))
        scanner = 'FROM TINY\nCOPY scan /scan\nENTRYPOINT ["/bin/sh"]\nCMD ["/scan"]\n'
        made.build("scanner", dockerfile=scanner)
        yield made


@dataclass(frozen=True)
class Controller:
    """An admission controller.

    Attributes:
        file: Of the example.
        says: Its verdicts about images.
        reads: In which forms of `--sign-form` each policy of it finds what is signed.
        changed: What a reader changes of the example.
    """

    file: str
    says: Callable[[Any, Sequence[str]], Mapping[str, Verdict]]
    reads: Mapping[str, frozenset[str]]
    changed: Callable[[Any], Any] = lambda policy: policy

    def judge(self, images: Images, name: str, policy: str) -> Verdict:
        """Return the verdict about an image; all images are judged at once, when one is first asked for."""
        asked = self.changed(policies(self.file, images.registry.host, PUBLIC.decode())[policy])
        key = self.file, json.dumps(asked)
        if key not in images.verdicts:
            images.verdicts[key] = self.says(asked, [images[each] for each in images.names])
        return images.verdicts[key][images[name]]


def of_bundles(policy: Any) -> Any:
    """Return a ClusterPolicy that reads bundles."""
    for rule in policy["spec"]["rules"]:
        for each in rule["verifyImages"]:
            assert each["type"] == "Cosign"
            each["type"] = "SigstoreBundle"
    return policy


def one_by_one(policy: Any, images: Sequence[str]) -> dict[str, Verdict]:
    """Return the verdicts of policy-controller."""
    return {image: policy_controller_says(policy, image) for image in images}


LEGACY, BUNDLES = (
    dict.fromkeys(("signed", "provenance"), frozenset({form, "both"})) for form in ("legacy", "bundle")
)
CONTROLLERS = {
    # Of attestations in the older form it wants an entry of a transparency log, whatever the policy says.
    "Kyverno": Controller("kyverno.yaml", kyverno_says, BUNDLES | {"signed": frozenset(FORMS)}),
    "Kyverno's ClusterPolicy": Controller("kyverno-clusterpolicy.yaml", kyverno_says, LEGACY),
    "Kyverno's ClusterPolicy of bundles": Controller(
        "kyverno-clusterpolicy.yaml", kyverno_says, BUNDLES, of_bundles
    ),
    "policy-controller": Controller("policy-controller.yaml", one_by_one, LEGACY),
}


one_registry = pytest.mark.parametrize("images", ["with the API"], indirect=True)
"""What is asked for is found in a registry of either kind, as others show: whether it is enough is then the same."""


@pytest.fixture(params=CONTROLLERS)
def controller(request):
    return CONTROLLERS[request.param]


@pytest.mark.parametrize("policy", ["signed", "provenance"])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_signed_in_a_form_that_the_controller_reads_is_let_in(images, controller, policy, form):
    verdict = controller.judge(images, form, policy)
    assert verdict.admitted == (form in controller.reads[policy]), verdict.words


@pytest.mark.parametrize("policy", ["signed", "provenance"])
@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_let_in_as_an_image_is(images, controller, policy, name):
    verdict = controller.judge(images, name, policy)
    assert verdict.admitted, verdict.words


@one_registry
@pytest.mark.parametrize("policy", ["signed", "provenance"])
@pytest.mark.parametrize("name", ["unsigned", "of another key"])
def test_what_the_key_did_not_sign_stays_out(images, controller, policy, name):
    verdict = controller.judge(images, name, policy)
    assert not verdict.admitted, verdict.words


@one_registry
@pytest.mark.parametrize("name", ["an SBOM alone", "another builder"])
def test_what_was_signed_of_the_image_counts(images, controller, name):
    """What is in a statement decides, and not that there is one."""
    signed = controller.judge(images, name, "signed")
    assert signed.admitted, signed.words
    verdict = controller.judge(images, name, "provenance")
    assert not verdict.admitted, verdict.words


@one_registry
def test_the_condition_on_the_source_that_the_page_has(images, certificates, tmp_path):
    make_repository(tmp_path / "served", Dockerfile="FROM scratch\nCOPY Dockerfile /\n")
    [condition] = [yaml.safe_load(text) for page, text in blocks("yaml") if page == "docs/admission.md"]
    with running_web_server(tmp_path, certificates) as server:
        context = (f"--context=git+{server.url}/served/.git", "--git=insecure-skip-tls=true")
        built = images.build("admitted/git", *context, "--provenance=min", "--sign-key=KEY")
    policy = policies("kyverno.yaml", images.registry.host, PUBLIC.decode())["provenance"]
    policy["spec"]["validations"] += replaced(condition, {"https://git.example/": f"{server.url}/"})
    verdicts = kyverno_says(policy, [built, images["both"]])
    assert verdicts[built].admitted, verdicts[built].words
    assert not verdicts[images["both"]].admitted, "from a directory"
