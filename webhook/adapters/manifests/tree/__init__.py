"""A document as a tree: cut from its source, parsed with positions, and read as Kubernetes reads it."""
