"""Images that go from one registry, layout or archive to another, or into an index with others."""
