"""Serves a rival on plain uvicorn, set as gpuwarden sets it: ``python -m benchmarks.rivals wire|usual --port ...``."""

import argparse
import gc
import logging
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.rivals.usual import usual_app
from benchmarks.rivals.wire import wire_app
from webhook.adapters import namespace_file
from webhook.adapters.configuration import file as configuration_file
from webhook.adapters.http.limits import KEEP_ALIVE_SECONDS
from webhook.adapters.tls.context import server_context
from webhook.adapters.tls.files import PairFiles


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rival", choices=("wire", "usual"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--namespaces", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    options = parser.parse_args()
    app: Any = wire_app(options.sizes)
    if options.rival == "usual":
        configuration = configuration_file.parse(options.config.read_text(encoding="utf-8"))
        app = usual_app(configuration, namespace_file.parse(options.namespaces.read_text(encoding="utf-8")))
    context = server_context(PairFiles(options.certificate, options.key).read())
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=options.port,
        ssl_context_factory=lambda _config, _default: context,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level=logging.ERROR,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
