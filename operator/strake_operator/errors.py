"""Everything that stops the operator's work, in one tree.

OperatorError
├── SettingsError        an environment variable is missing or wrong: the operator does not start
└── ClusterError         the API server did not do what was asked; it may later
    ├── NotFoundError    the object is gone
    ├── ConflictError    the object changed meanwhile, or exists already
    └── RefusedError     the API server will not take this object, however often it is sent
"""

from __future__ import annotations


class OperatorError(Exception):
    """The root of the tree."""


class SettingsError(OperatorError):
    """A setting is missing or wrong; the message names the environment variable."""


class ClusterError(OperatorError):
    """The API server did not do what was asked."""


class NotFoundError(ClusterError):
    """The object is gone."""


class ConflictError(ClusterError):
    """The object changed since it was read, or exists already."""


class RefusedError(ClusterError):
    """The object is invalid, too large or forbidden; the message is the API server's."""
