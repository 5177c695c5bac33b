"""Runs a program that the kernel kills when its parent ends: ``guard.py PARENT-PID PROGRAM ARGUMENT...``.

A test run that is killed outright can't clean up after itself; this is what does it then.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); the setting outlives execve(2)

ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):  # the parent ended before the kernel knew of our wish
    sys.exit("guard: the process that asked for this program is gone")
os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  replacing this process is the point; no shell is wanted
