"""The image that makes an SBOM."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

GeneratorImage = Annotated[str, Field(min_length=1, max_length=512)]
"""Reference of an image that follows BuildKit's protocol for SBOM scanners."""
