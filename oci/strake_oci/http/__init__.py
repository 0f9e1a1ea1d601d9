"""HTTP as the clients of registries, ADD and git need it: limits, proxies, TLS, cancellation."""

import sys

# httpx imports its command line wherever click and rich are installed, which takes a third of its import. It
# does without where that module is missing, as one is that is None (Python's reference, "sys.modules").
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # typeshed knows no values of None
