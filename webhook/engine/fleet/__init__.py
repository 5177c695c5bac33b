"""The fleet: what the cluster's nodes offer, and whether a pod fits."""
