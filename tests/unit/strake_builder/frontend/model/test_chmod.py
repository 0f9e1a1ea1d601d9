"""`--chmod`: common modes, and what is no mode."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.model.chmod import apply_mode, check_mode


@pytest.mark.parametrize(
    ("before", "text", "directory", "after"),
    [
        (0o644, "755", False, 0o755),
        (0o644, "0", False, 0),
        (0o644, "07777", False, 0o7777),
        (0o644, "a+x,g-r", False, 0o715),
        (0o644, "u=rwX,go=rX", False, 0o644),
        (0o644, "u=rwX,go=rX", True, 0o755),
        (0o744, "go+X", False, 0o755),
        (0o640, "o=g", False, 0o644),
        (0o640, "g=u,o=", False, 0o660),
        (0o640, "=", False, 0),
        (0o755, "+s", False, 0o6755),
        (0o755, "u+s,g+s,+t", False, 0o7755),
        (0o7755, "-t", False, 0o6755),
        (0o755, "o+s", False, 0o755),
        (0o777, "ug-w+s", False, 0o6557),
    ],
)
def test_mode(before, text, directory, after):
    assert apply_mode(before, text, is_directory=directory) == after


@pytest.mark.parametrize(
    "text", ["8", "99", "10000", "0o755", "rwx", "u", "u+", "+", "a+x,", ",a+x", "u+q", "z+x", "u+" * 9999]
)
def test_no_mode_is_refused(text):
    if text in ("u+", "+"):
        check_mode(text)  # changes nothing, as for chmod(1)
        return
    with pytest.raises(FaultError, match="invalid chmod parameter"):
        check_mode(text)
