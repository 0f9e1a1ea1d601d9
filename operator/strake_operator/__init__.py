"""The operator: watches ImageBuild resources, launches builder pods and folds their reports into status."""
