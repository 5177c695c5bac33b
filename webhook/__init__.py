"""gpuwarden: a Kubernetes admission webhook for GPU requests."""

__version__ = "0.1.0"
