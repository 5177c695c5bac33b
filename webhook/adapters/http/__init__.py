"""The admission port: HTTP/1.1 on asyncio and httptools, its endpoints, and the limits on its connections."""
