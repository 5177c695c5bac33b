"""The engine: reads the GPU requests of a pod and decides about them under a policy. Pure: no I/O, no clock, no logging."""
