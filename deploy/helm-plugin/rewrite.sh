#!/bin/sh
# Helm 4 drops what a post-renderer writes to standard error, and with it why a manifest is denied. Where the system has /proc, it
# goes to Helm's own standard error instead, unless that is a file, in which Helm would write over it.
helm=/proc/$PPID/fd/2
if [ ! -f "$helm" ] && (: 2>"$helm") 2>/dev/null; then
  exec gpuwarden rewrite - "$@" 2>"$helm"
fi
exec gpuwarden rewrite - "$@"
