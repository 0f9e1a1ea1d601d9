"""What `helm test` runs in a pod with the operator's rights: the API has ImageBuilds, and an operator acts.

It uses nothing but Python's own library, and says what is missing and where to read on.
"""

import datetime as dt
import json
import os
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.request

SECRETS = pathlib.Path(os.environ.get("SERVICEACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
HOST = os.environ["KUBERNETES_SERVICE_HOST"]
API = f"https://{f'[{HOST}]' if ':' in HOST else HOST}:{os.environ['KUBERNETES_SERVICE_PORT']}"
NAMESPACE = os.environ["NAMESPACE"]
BUILDS = "/apis/strake.dev/v1alpha1/imagebuilds?limit=1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/strake-operator-leader"
SECONDS = int(os.environ.get("SECONDS", "120"))


def ask(path):
    """Return the API server's answer."""
    request = urllib.request.Request(API + path)  # noqa: S310 - always https
    request.add_header("Authorization", f"Bearer {(SECRETS / 'token').read_text()}")
    context = ssl.create_default_context(cafile=str(SECRETS / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310 - likewise
        return json.load(answer)


def problem():
    """Return what is missing; None where nothing is."""
    try:
        ask(BUILDS)
    except urllib.error.HTTPError as error:
        return (
            f"GET {BUILDS} answers {error.code}: are the CRDs and the ClusterRole strake-operator installed?"
        )
    try:
        lease = ask(LEASE)["spec"]
    except urllib.error.HTTPError as error:
        return f"GET {LEASE} answers {error.code}: no operator has acted yet, see the log of its pods"
    if not lease.get("holderIdentity"):
        return "nobody has the Lease strake-operator-leader: see the log of the operator's pods"
    renewed = dt.datetime.fromisoformat(lease["renewTime"])
    age = (dt.datetime.now(dt.UTC) - renewed).total_seconds()
    if age > lease["leaseDurationSeconds"]:
        return f"the Lease was last renewed {age:.0f} s ago: see the log of the operator's pods"
    print(f"{lease['holderIdentity']} acts")
    return None


deadline = time.monotonic() + SECONDS
while (found := problem()) is not None:
    if time.monotonic() > deadline:
        sys.exit(found)
    time.sleep(2)  # an operator that starts needs some seconds, and tells only the Lease
