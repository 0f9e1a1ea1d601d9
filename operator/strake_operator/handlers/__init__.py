"""What happens when something changes in the cluster: observe, decide, act.

watch        kopf's event handlers: each names a build to reconcile
queue        builds to reconcile, each once, one at a time
reconciler   observe → decide → act, for one build
follower     reads the logs of running builders for their progress
"""
