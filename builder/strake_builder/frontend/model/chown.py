"""`--chown` specifications, split into user and group.

Names are resolved where there are the image's passwd and group files.
"""

from __future__ import annotations

from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns what a COPY or ADD makes.

    Attributes:
        user: A name or a decimal number; "" (`--chown=:group`) means 0.
        group: A name or a decimal number; None when the specification names none: then a named
            user's own group, and for a number the same number.
    """

    user: str
    group: str | None = None

    @property
    def needs_names(self) -> bool:
        """True when a passwd or group file is needed to resolve it ("root" never needs one)."""
        return any(part and part != "root" and not _is_id(part) for part in (self.user, self.group))


def parse_chown(text: str) -> Ownership:
    """Split `user[:group]`; an empty group counts as none (BuildKit's llb.WithUser)."""
    user, _, group = text.partition(":")
    return Ownership(user=user, group=group or None)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal()
