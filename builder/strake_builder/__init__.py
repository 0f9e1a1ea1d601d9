"""The builder: fetches a context, runs a Dockerfile, snapshots layers and pushes the image."""
