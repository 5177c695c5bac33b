"""Starts gpuwarden with the files of a pod's account in another folder: ``python -m benchmarks.in_a_pod FOLDER serve …``.

Only root can write to where a pod has them.
"""

import functools
import sys
from pathlib import Path

from webhook.adapters.kubernetes import connect
from webhook.cli.main import run

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    connect.Cluster = functools.partial(connect.Cluster, service_account=folder)  # type: ignore[misc, assignment]  # the bench's own way in
    run()
