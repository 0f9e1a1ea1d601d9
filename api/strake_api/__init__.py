"""The documents that Strake's parts and its users exchange: one place for each field's meaning.

    imagebuild  ImageBuild as a user writes it: metadata and spec
    spec        the parts of that spec, each beside its rules
    status      what the operator reports back in ImageBuild's status
    cache       what an ImageBuild says about caches
    platform    what an ImageBuild's image is for
    requests    BuildRequest and its kin: what the operator (or `strake run`) hands to the builder
    registries  how registries are reached: in a request and in the platform's settings
    result      BuildResult: what the builder hands back, in 4,096 bytes at most
    events      what the builder says while it works, one JSON object a line
    reasons     why a build is where it is, as closed lists
    crd         the CustomResourceDefinition, generated from the models

It imports pydantic only, so that operator and builder can both stand on it.
"""
