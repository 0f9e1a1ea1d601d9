"""An OCI library: references, digests, descriptors, manifests, layouts and a registry client.

It knows no Dockerfile and no Kubernetes, so that it can stand on its own.

| room | what is in it |
|---|---|
| `digest`, `reference`, `platform`, `mediatype` | names of content, of images, of machines, of kinds |
| `descriptor`, `manifest`, `image`, `artifact` | the documents, as frozen values; `wire` and `image_wire` are
their JSON |
| `images` | the protocols of image stores |
| `registry` | … a registry; `RegistryClient` is the way in |
| `layout`, `archive`, `archive_reader`, `memory` | … a directory, a tar, memory; `layout_reader`,
`image_writer` and `file_upload` are what they share, `layout_index` has their names |
| `copying` | `copy_image`: from any store to any other |
| `signatures` | signs and verifies images as cosign does |
| `credentials` | Docker's config, helper programs, clouds, login and logout |
| `verify`, `ttl_cache` | checked readers; values that expire |
| `cancellation` | ends what is under way |
| `errors` | the tree of everything that is raised |
"""
