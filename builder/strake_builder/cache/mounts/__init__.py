"""Cache mounts that outlive the machine: documents, decisions and the repository that has them."""
