"""The label selectors of nodes with GPUs."""

SELECTORS = ("nvidia.com/gpu.present=true", "cloud.google.com/gke-accelerator")
"""Nodes with GPUs: as GPU feature discovery labels them, and as GKE does."""
