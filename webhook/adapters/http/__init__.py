"""The HTTP side: requests and answers as bytes, and the two ports they go through."""
