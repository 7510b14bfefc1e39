"""What is looked at before a model is trained or loaded for the page."""

import os
import socket
from importlib.util import find_spec
from typing import Any

from mmattn.errors import UserError


def require_gradio() -> None:
    """Raise UserError where Gradio is not installed."""
    if find_spec('gradio') is None:
        raise UserError(
            'the page needs gradio, which is not installed: pip install "mmattn[demo]", or in a '
            'checkout `make web` and then .venv-web/bin/python -m mmattn.cli demo'
        )


def import_gradio() -> Any:
    """Gradio, which then neither counts its users nor asks whether there is a newer one."""
    require_gradio()
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED='False', HF_HUB_OFFLINE='1', HF_HUB_DISABLE_TELEMETRY='1'
    )
    import gradio

    return gradio


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at the address of the page; port 0 takes a free one.

    Raises:
        UserError: The port is taken or forbidden, or the host is none of this machine's.
    """
    if not 0 <= port < 65536:
        raise UserError(f'port {port} does not exist: give 0 to 65535')
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror or error).partition(' (while')[0]
        raise UserError(
            f'the page cannot be served at {host}, port {port} ({reason}): name another port with '
            '--port (0 takes a free one), or another address of this machine with --host'
        ) from error
