"""Turns a build request into an image: plans, pulls, runs steps, snapshots layers and pushes them."""
