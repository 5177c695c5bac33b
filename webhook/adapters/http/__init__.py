"""HTTP: requests and answers as bytes, and the two ports."""
