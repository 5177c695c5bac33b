"""The fleet: what the cluster's nodes offer, and whether that is enough for a pod."""
