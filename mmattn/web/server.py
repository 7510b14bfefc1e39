"""Serves the page, to this machine unless told otherwise."""

import gc
import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmattn.web.guard import Guard
from mmattn.web.page import Page
from mmattn.web.start import import_gradio

LOCAL = ('127.0.0.1', 'localhost', '::1')
MAX_CONNECTIONS = 256
FONTS = ('system-ui', 'sans-serif')  # of the machine that shows the page


def application(page: Page, host: str) -> Any:
    """The ASGI application of a page.

    Args:
        page: What it answers.
        host: Where it is served.
    """
    gradio = import_gradio()
    from fastapi import FastAPI

    app = gradio.mount_gradio_app(
        FastAPI(openapi_url=None, docs_url=None, redoc_url=None),
        page.blocks(),
        path='/',
        theme=gradio.themes.Base(font=FONTS, font_mono=('monospace',)),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=False,
        allowed_paths=[],
        blocked_paths=[str(Path('/').resolve())],
        max_file_size=1,
    )
    return Guard(app, page.limits.body, (*LOCAL, host) if _is_local(host) else ())


def serve(page: Page, listening: socket.socket, host: str) -> None:
    """Serve a page at a socket of `mmattn.web.start.bound_socket` until Ctrl+C."""
    app = application(page, host)
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level='warning',
        ws='none',
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    address = f'[{host}]' if ':' in host else host
    print(
        f'The page is at http://{address}:{listening.getsockname()[1]} (Ctrl+C ends it)', flush=True
    )
    gc.freeze()  # what is loaded stays, and need not be looked through after each answer
    # Raised again by uvicorn after it has ended well, which is how a page ends.
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'
