"""The diagnosis of an installation: facts of a cluster in, results out; pure, each file a group of checks."""
