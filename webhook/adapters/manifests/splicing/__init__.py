"""Changes a document's text to hold other data, touching only what differs."""
