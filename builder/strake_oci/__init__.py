"""An OCI library: references, digests, descriptors, manifests, layouts and a registry client.

It knows no Dockerfile and no Kubernetes, so that it can stand on its own.
"""
