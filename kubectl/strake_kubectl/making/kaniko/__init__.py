"""From a pod or a CI job that runs kaniko's executor to an ImageBuild that does the same."""
