"""Images that are kept elsewhere than in a registry: layouts, archives, memory."""
