"""What can be wrong with a layer's bytes.

LayerError
├── MalformedLayerError      the archive does not follow the tar format
├── UnknownCompressionError  the stream is none of gzip, zstd, plain tar
└── TooLargeError            what is packed in it takes more room than it may
"""

from __future__ import annotations

from strake_builder.errors import BaseImageError


class LayerError(BaseImageError):
    """A layer cannot be read."""


class MalformedLayerError(LayerError):
    """The archive does not follow the tar format, or breaks one of this reader's limits."""


class UnknownCompressionError(LayerError):
    """The stream is compressed in a way that is not supported."""


class TooLargeError(LayerError):
    """What is packed in the archive takes more room on disk than one archive may."""


def shown(name: bytes) -> str:
    """Return a name of an untrusted archive fit for a message: quoted, escaped, not too long."""
    return repr(name[:200])[1:]
