"""A real Kubernetes control plane on loopback: finding its programs, starting it, waiting for it."""
