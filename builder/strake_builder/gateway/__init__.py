"""The gateway: the one process of a builder pod that has credentials of registries.

Steps of a Dockerfile run next to the executor, and in the isolation `chroot` in the same container. So the
executor has no credential: it speaks the distribution API to this process, over a unix socket, and this
process adds credentials, CAs and client certificates. It forwards what the build may do and nothing else.

    policy    what a request asks for, and whether the build may: pure
    forward   one request to a registry and its answer
    replies   what the executor hears of it
    signing   signatures of what was pushed
    server    HTTP on the socket

    remote_signer  the executor's side of a signature
"""
