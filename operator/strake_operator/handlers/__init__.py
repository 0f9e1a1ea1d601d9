"""What happens when something changes in the cluster: look, decide, act.

watch        kopf's event handlers: each names a build to look at
queue        builds to look at, each once, one at a time
reconciler   look → decide → act, for one build
follower     reads the logs of running builders for their progress
"""
