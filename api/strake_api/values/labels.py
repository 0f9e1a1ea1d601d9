"""Keys and values of labels, as Kubernetes takes them.

Source: Kubernetes, "Labels and Selectors", syntax and character set.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"

LabelKey = Annotated[str, Field(pattern=KEY_PATTERN, max_length=317)]
LabelValue = Annotated[str, Field(pattern=_VALUE_PATTERN, max_length=63)]
