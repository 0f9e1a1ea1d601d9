"""How the platform's builds reach registries: what a user of the cluster must not decide.

| module | is about |
|---|---|
| `document` | what the file of STRAKE_REGISTRIES_FILE may say |
| `reading` | from the file to the document, with errors for people |
| `source` | the file as it is now: read again when it changed |
"""
