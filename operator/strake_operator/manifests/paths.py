"""Where a builder's pod has what: the request names these paths, and the pod mounts there."""

from __future__ import annotations

from typing import Final

REQUEST_DIRECTORY: Final = "/strake/request"
REQUEST_FILE: Final = "request.json"
CONTEXT_DIRECTORY: Final = "/strake/context"
PUSH_DIRECTORY: Final = "/strake/push"
PULL_DIRECTORY: Final = "/strake/pull"
LOG_ACCOUNT_DIRECTORY: Final = "/strake/log"
SIGNING_DIRECTORY: Final = "/strake/signing"
SIGNING_TOKEN: Final = "token"  # noqa: S105 - a file's name
SOURCE_DIRECTORY: Final = "/strake/source"
GIT_DIRECTORY: Final = "/strake/git"
BUCKET_DIRECTORY: Final = "/strake/bucket"
GIVEN_DIRECTORY: Final = "/strake/given"
DOCKER_CONFIG_FILE: Final = "config.json"
WORK_DIRECTORY: Final = "/strake/work"
TEMPORARY_DIRECTORY: Final = "/strake/tmp"
GATEWAY_DIRECTORY: Final = "/strake/gateway"
GATEWAY_SOCKET: Final = f"{GATEWAY_DIRECTORY}/socket"
LOG_SOCKET: Final = f"{GATEWAY_DIRECTORY}/log"
TERMINATION_MESSAGE: Final = "/dev/termination-log"
