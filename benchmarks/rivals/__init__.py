"""What gpuwarden is compared with, on the same uvicorn, event loop and TLS."""
