"""Manifests: reading Kubernetes objects from YAML and JSON, and editing them in place."""
