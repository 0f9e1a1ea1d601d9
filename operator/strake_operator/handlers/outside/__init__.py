"""Whom the operator tells of runs: receivers of CloudEvents and collectors of traces."""
