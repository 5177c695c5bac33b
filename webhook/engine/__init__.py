"""The engine: what a pod requests, and what a policy makes of it. Pure: no I/O, no clock, no logging."""
