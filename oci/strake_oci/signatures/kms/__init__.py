"""Keys in a KMS: what signs never leaves it, and each signature is a request.

| module | is about |
|---|---|
| `uri` | cosign's URIs of keys: `awskms://`, `gcpkms://`, `azurekms://`, `hashivault://` |
| `key` | `KMSKey`, which is used in place of a key at hand |
| `opening` | from a URI to a key |
| `aws`, `google`, `azure`, `vault` | what each service is asked |
| `rest` | requests with JSON, tried again where that may help |
| `encodings` | forms of public keys and signatures |

Only `uri` is imported where no KMS is used. The identities are those that open registries and buckets of the
same clouds (`strake_oci.credentials`).
"""
