"""What a build says about itself to those who check images: statements, and the manifests that carry them.

Pure: facts go in, documents come out. `solve` collects the facts, `output` pushes the documents.
"""
