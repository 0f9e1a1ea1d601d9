"""Signatures by identity: a certificate of Fulcio's in place of a key, and an entry in a transparency log.

| module | is about |
|---|---|
| `identity` | `KeylessIdentity` signs |
| `certificate` | `CertificateSigners` verify, and `CertificateIdentity`, who is one |
| `writing` | images and statements, signed by an identity |
"""
