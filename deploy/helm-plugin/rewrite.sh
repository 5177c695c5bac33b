#!/bin/sh
# Helm 4 discards the standard error of a post-renderer, and with it the reason why a manifest is denied. If the system has /proc, the
# output goes to Helm's own standard error instead, unless that is a file, because Helm would overwrite it.
helm=/proc/$PPID/fd/2
if [ ! -f "$helm" ] && (: 2>"$helm") 2>/dev/null; then
  exec gpuwarden rewrite - "$@" 2>"$helm"
fi
exec gpuwarden rewrite - "$@"
