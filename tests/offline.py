"""No test talks to another machine: Python itself tells of every connection before it is made."""

import sys

LOCAL = {'localhost', '127.0.0.1', '::1', '', None}


def forbid_network() -> None:
    """From now on a connection of this process to another machine is an error."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple) -> None:
    if event == 'socket.getaddrinfo':
        host = arguments[0]
    elif event in ('socket.connect', 'socket.sendto') and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:  # other events, and sockets that are files
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        raise RuntimeError(f'a test or an import uses the network: {event} {host}')
