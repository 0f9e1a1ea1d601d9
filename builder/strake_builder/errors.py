"""Everything that the builder can tell a person went wrong, in one tree.

    BuildError
    ├── InvalidRequest          the manifest or the flags contradict themselves
    ├── SourceError             the context cannot be fetched or read
    ├── DockerfileError         the Dockerfile is refused (frontend.errors refines it)
    ├── BaseImageError          a base image cannot be resolved, pulled or unpacked
    ├── StepError               an instruction failed while it ran
    │   └── RunStepFailed       a RUN command ended with another status than zero
    ├── PushError               a destination refused the image
    │   └── PushUnauthorized    … because of its credentials
    ├── BuildTimedOut           the build's time limit passed
    ├── BuildCancelled          somebody asked the build to stop
    ├── OutOfDisk               the work directory is full
    └── UnsupportedHere         this machine lacks what the build needs

Only the command line turns one of these into an exit status. Each carries the reason that the
ImageBuild's status shows, from the closed list of `strake_api`.
"""

from __future__ import annotations
