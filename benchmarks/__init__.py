"""The bench: everything that gpuwarden claims about its speed, measured in one run (``make bench``)."""
