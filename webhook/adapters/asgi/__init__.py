"""The endpoints as an ASGI application (FastAPI), and its server on the operations port (uvicorn)."""
