"""How an ImageBuild's status moves: every change of it is made by one of these pure functions.

A run goes `begin` → `under_way` (any number of times) → `succeeded` or `failed`.

| module | is about |
|---|---|
| `moves` | a run that begins, waits and goes on |
| `ending` | a run that ended, and what its history keeps of it |
| `conditions` | what conditions say of either: all together: no reader sees a build ready and failed |
"""
