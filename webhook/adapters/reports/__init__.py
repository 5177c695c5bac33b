"""Reports: what was judged, for people and for programs."""
