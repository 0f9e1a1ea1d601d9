"""Objects of S3, Google Cloud Storage and Azure Blob Storage: how each is asked for, and what opens it."""
