"""The commands that pages tell people to type, block by block, and where each is carried out.

A block of `sh` is carried out by `tests/integration/pages` on this machine alone, unless `IN_CLUSTER` has it, which
`tests/e2e/pages/test_starts.py` carries out, or a command of it is in `NOT_RUN`. So a new command on a page is run, or
fails a test, without anybody's doing. `tests/unit/docs/test_carried_out.py` fails where a table names what no page has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/start").glob("*.md")]
)
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:.*\\\n)*(?:.*<<'?(?P<end>\w+)'?.*\n(?:.*\n)*?(?P=end)\n|.*\n)")
"""A line with those that go on with it, and with what a here-document gives it."""
_SERVED: Final = (
    "serves until Ctrl-C; tests/e2e/pages/test_ui.py and tests/integration/kubectl/test_ui.py start it"
)
_RELEASE: Final = "needs a published release; tests/e2e/scale/test_release.py makes one, and installs chart and plugin of it"
_KMS: Final = "needs the service; tests/integration/commands/test_kms.py signs with a stand-in of each"
_VAULT: Final = "settings of Vault, which is not to be had here"
_SIGSTORE: Final = "needs a Sigstore instance; tests/integration/commands/test_keyless.py has one of its own"
_ADMISSION: Final = (
    "needs the controller in the cluster; tests/integration/admission lets its program read the policies"
)
_SSH: Final = "needs a person's agent; tests/integration/git/test_add_ssh.py goes to a server with one"
_INDEX: Final = "takes packages from an index; the images of tests/images/own.py are made by the same"
NOT_RUN: Final = {
    (
        "README.md",
        "make demo",
    ): "starts the test cluster that the other tests use; its parts are tests/e2e's own",
    ("README.md", "make test"): "runs this very test",
    ("README.md", "pip install ."): _INDEX,
    ("docs/admission.md", "kubectl apply -f examples/admission/kyverno.yaml"): _ADMISSION,
    ("docs/cli.md", "oras push registry.example/app-context:1.2 ."): "another project's program",
    ("docs/cli.md", "flux push artifact oci://registry.example/app-context:1.2"): "another project's program",
    ("docs/cli.md", "strake build --sign-key awskms:///alias/release"): _KMS,
    ("docs/cli.md", "strake build --sign-identity-token token"): _SIGSTORE,
    ("docs/cli.md", "strake verify registry.example/app:1.2 --trusted-root"): _SIGSTORE,
    ("docs/dockerfile.md", "strake build --ssh default"): _SSH,
    ("docs/imagebuild.md", "vault write auth"): _VAULT,
    ("docs/imagebuild.md", "vault policy write"): _VAULT,
    ("docs/imagebuild.md", "cosign verify registry.example/app:1.2"): _SIGSTORE,
    ("docs/imagebuild.md", "strake verify registry.example/app:1.2"): _SIGSTORE,
    ("docs/imagebuild.md", "jq -n"): "makes a file of two that a Sigstore instance has",
    ("docs/install.md", "helm upgrade --install strake oci://registry.example/strake/charts"): _RELEASE,
    ("docs/kubectl.md", "kubectl krew install"): _RELEASE,
    ("docs/releasing.md", "kubectl krew install"): _RELEASE,
    ("docs/kubectl.md", "pip install '.[kubectl]'"): _INDEX,
    ("docs/start/developer.md", "pip install '.[kubectl]'"): _INDEX,
    ("docs/ui.md", "pip install '.[ui]'"): _INDEX,
    ("docs/ui.md", "kubectl strake ui\n"): _SERVED,
}
"""Page and beginning of a command that nothing runs → why."""
IN_CLUSTER: Final = frozenset(
    {
        ("README.md", "make image"),
        ("docs/isolation.md", "kubectl run build"),
        *(("docs/install.md", each) for each in ("helm", "kubectl")),
        *(("docs/kubectl.md", each) for each in ("pip", "kubectl")),
        *(("docs/start/developer.md", each) for each in ("pip", "kubectl")),
        ("docs/start/gitops.md", "kubectl"),
        *(("docs/start/platform.md", each) for each in ("make image", "kubectl")),
        *(("docs/ui.md", each) for each in ("pip", "kubectl")),
    }
)
"""Page and beginning of the blocks that need a cluster."""


@dataclass(frozen=True)
class Block:
    """A block of commands.

    Attributes:
        page: Its name, from the root of the repository.
        number: Among all blocks of commands of the page, from 0.
        text: As the page has it.
    """

    page: str
    number: int
    text: str

    @property
    def in_cluster(self) -> bool:
        """Whether it needs a cluster."""
        return any(self.page == page and self.text.startswith(first) for page, first in IN_CLUSTER)

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of it, each with its end of line; a comment that has a line of its own is one."""
        return tuple(found[0] for found in _COMMAND.finditer(self.text))

    @property
    def script(self) -> str:
        """What is run of it."""
        return "".join(each for each in self.commands if not self._not_run(each))

    def _not_run(self, command: str) -> bool:
        return any(self.page == page and command.startswith(first) for page, first in NOT_RUN)


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the blocks of code in a language, each with its page's name."""
    return [
        (str(page.relative_to(ROOT)), found["text"])
        for page in PAGES
        for found in _BLOCK.finditer(page.read_text())
        if found["language"] == language
    ]


def commands() -> list[Block]:
    """Return all blocks of commands, page by page."""
    numbers: dict[str, int] = {}
    found = []
    for page, text in blocks("sh"):
        found.append(Block(page, numbers.get(page, 0), text))
        numbers[page] = numbers.get(page, 0) + 1
    return found
