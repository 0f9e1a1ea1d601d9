"""The parts of an ImageBuild's spec, each model beside the rules that `kubectl apply` checks for it."""
