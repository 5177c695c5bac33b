"""The configuration file: read, checked as a whole, and turned into what admission uses."""
