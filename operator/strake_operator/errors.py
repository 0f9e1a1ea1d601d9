"""Everything that stops the operator's work, in one tree.

OperatorError
├── SettingsError        an environment variable is missing or wrong: the operator does not start
└── ClusterError         the API server did not do what was asked; it may later
    ├── NotFoundError    the object is gone
    ├── ExistsError      there is an object of this name already
    ├── ConflictError    something changed meanwhile: the object, or the quota that counts it
    ├── ForeignError     there is an object of this name that the operator did not make
    ├── NamespaceEndsError  the namespace is being deleted, and takes no new object
    ├── UndeletedError   a rule of the cluster keeps an object from being deleted
    └── RefusedError     the API server will not take this object
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


class GoneError(NotFoundError):
    """The ImageBuild that is reconciled is gone."""


class ExistsError(ClusterError):
    """There is an object of this name already."""


class ForeignError(ClusterError):
    """There is an object of this name already that the operator did not make; the message tells which."""


class ConflictError(ClusterError):
    """The object, or the quota that counts it, changed meanwhile: the same may work at once."""


class NotLeaderError(ClusterError):
    """This operator has not the Lease, so it changes nothing."""


class NamespaceEndsError(ClusterError):
    """The namespace is being deleted: nothing can be made in it any more."""


class UndeletedError(ClusterError):
    """A rule of the cluster keeps an object from being deleted; the message is the API server's."""


class RefusedError(ClusterError):
    """The object is invalid, too large or forbidden; the message is the API server's.

    Args:
        message: What was refused, and the API server's words.
        forbidden: A rule of the cluster refuses it, which may change; else the object is wrong.
    """

    def __init__(self, message: str, *, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden
