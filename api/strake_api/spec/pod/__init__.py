"""What a spec says about the pod that builds."""
