"""How a signature lies beside its image."""

from __future__ import annotations

from typing import Literal

SignatureForm = Literal["legacy", "bundle", "both"]
"""Under a tag made of the image's digest, as a Sigstore bundle that refers to the image, or in both forms."""
