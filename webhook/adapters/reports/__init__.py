"""Reports: the results of commands, for people and for programs."""
