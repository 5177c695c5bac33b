"""The Kubernetes API: login, requests, watches and lists, and the objects that hold certificates."""
