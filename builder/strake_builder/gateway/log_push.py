"""Pushes the log of a run as an artifact, and reports its digest in the gateway's termination message."""

from __future__ import annotations

import gzip
import io
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from strake_api.logs.artifact import ANNOTATION_PREFIX, ARTIFACT_TYPE, LAYER_TYPE, LogReport, LogTarget
from strake_api.result import shorten
from strake_builder.gateway.log_listener import LogListener
from strake_oci.errors import OCIError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.reference import Reference

SECONDS: Final = 12.0
"""For all of the push: a pod that ends has 20 seconds."""
_SHOWN: Final = 600
_NOTHING: Final = "no log came: the builder did not start, or its gateway was started again"


def push_log(target: LogTarget, listener: LogListener, client: RegistryClient) -> str:
    """Push a log; return the digest of its manifest.

    Raises:
        OCIError: The registry refused or failed.
    """
    reference = Reference.parse(f"{target.repository}:{target.tag}")
    content = gzip.compress(listener.log.content(), mtime=0)
    title = {"org.opencontainers.image.title": f"{target.tag}.log.gz"}
    blob = Descriptor.of(LAYER_TYPE, content)
    layer = Descriptor(LAYER_TYPE, blob.digest, blob.size, annotations=title)
    manifest = make_artifact(ARTIFACT_TYPE, (layer,), annotations=_annotations(target, listener)).serialize()
    for descriptor, data in ((EMPTY, EMPTY_CONTENT), (blob, content)):
        client.push_blob(reference.repository, descriptor, partial(io.BytesIO, data))
    pushed = client.push_manifest(reference, manifest, mediatype.OCI_MANIFEST)
    return str(pushed.digest)


def _annotations(target: LogTarget, listener: LogListener) -> dict[str, str]:
    ended = datetime.now(UTC)
    told = {
        "namespace": target.namespace,
        "build": target.build,
        "run": str(target.run),
        "attempt": str(target.attempt),
        "started": _time(listener.started or ended),
        "ended": _time(ended),
    }
    named = {f"{ANNOTATION_PREFIX}{name}": text for name, text in told.items()}
    return {**named, "org.opencontainers.image.created": _time(ended)}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class LogKeeper:
    """Pushes a log once, when the builder has ended, and reports how that went. It never raises.

    Args:
        target: where to.
        listener: has the log.
        open_client: speaks to the registry; called once.
        report: the file of the termination message; None where nobody reads one.
    """

    def __init__(
        self,
        target: LogTarget,
        listener: LogListener,
        open_client: Callable[[], RegistryClient],
        report: str | None,
    ) -> None:
        self._target = target
        self._listener = listener
        self._open_client = open_client
        self._report = report
        # What stays there if the gateway is killed before it knows better.
        self._tell(LogReport(problem="the pod ended before its log was pushed"))
        self._thread = threading.Thread(target=self._run, name="log-keeper", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Wait until the log is pushed, for no longer than some seconds: the pod ends."""
        self._listener.finish()
        self._thread.join(seconds)

    def _run(self) -> None:
        self._listener.ended.wait()
        if self._listener.log.is_empty:
            self._tell(LogReport(problem=_NOTHING))
            return
        try:
            with self._open_client() as client:
                self._tell(LogReport(digest=push_log(self._target, self._listener, client)))
        except OCIError as error:
            self._fail(error.message)
        except Exception as error:  # noqa: BLE001 - a log is never worth a build
            self._fail(f"{type(error).__name__} in the gateway")

    def _fail(self, words: str) -> None:
        words = shorten(f"cannot push the log to {self._target.repository}: {words}", _SHOWN)
        self._tell(LogReport(problem=words))
        sys.stdout.write(words + "\n")
        sys.stdout.flush()

    def _tell(self, report: LogReport) -> None:
        if self._report is not None:
            with suppress(OSError):
                Path(self._report).write_text(report.to_json())
