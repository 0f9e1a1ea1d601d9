"""Let a root file system trust the certificate authorities that this machine trusts beside Debian's own.

    trust.py BUNDLE ROOT

A hook for mmdebstrap. It goes through update-ca-certificates, so that a later run of it keeps them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def certificates(bundle: Path) -> list[str]:
    """Return a bundle's certificates in PEM form, line ends normalised."""
    return ["\n".join(found.split()) for found in _CERTIFICATE.findall(bundle.read_text())]


def main() -> None:
    """Install the difference between two bundles."""
    bundle, root = Path(sys.argv[1]), Path(sys.argv[2])
    known = set(certificates(root / "etc/ssl/certs/ca-certificates.crt"))
    local = [
        text for text in _CERTIFICATE.findall(bundle.read_text()) if "\n".join(text.split()) not in known
    ]
    for number, text in enumerate(local):
        target = root / f"usr/local/share/ca-certificates/local-{number}.crt"
        target.write_text(text + "\n")
        target.chmod(0o644)
    if local:
        subprocess.run(["chroot", root, "update-ca-certificates"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
