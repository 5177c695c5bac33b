"""The Kubernetes API: who we are to it, one request, the watched namespaces, the objects that hold certificates."""
