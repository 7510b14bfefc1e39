"""Stands before the server of the page: which requests reach it, and how large they may be."""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# All that the page itself asks for. Nothing of it names a file but those of gradio's own package:
# uploads to disk, files by path, proxies and the rest of gradio's interface are not reached.
_GET = re.compile(
    r'/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)?'
    r'|/(assets|static)/[\w./@-]+'
    r'|/gradio_api/(startup-events|queue/data|heartbeat/\w+|app_id)/?'
)
_POST = re.compile(r'/gradio_api/(queue/join|cancel|reset)/?')
# The browser itself refuses what would leave this server, whatever a library tries.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'none'; "
    "frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
)
_HEADERS = [
    (b'content-security-policy', POLICY.encode()),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
]


class Guard:
    """An ASGI application around another one.

    Args:
        app: The server of the page.
        max_body: Bytes that a request may bring.
        hosts: Names that browsers may call this server by; none for any. On a server for this
            machine alone, a page from elsewhere cannot give itself a name that leads here.
    """

    def __init__(self, app: Callable, max_body: int, hosts: Iterable[str] = ()) -> None:
        self.app, self.max_body, self.hosts = app, max_body, set(hosts)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        if scope['type'] != 'http':
            return None  # the page opens no websockets
        headers = {name.lower(): value.decode('latin-1') for name, value in scope['headers']}
        if refused := self._refusal(scope, headers):
            return await _answer(send, *refused)
        body = await self._body(receive)
        if body is None:
            return await _answer(send, 413, 'the request is too large')

        async def receive_again() -> Message:
            nonlocal body
            if body is None:
                return await receive()  # waits for the browser to leave
            message, body = {'type': 'http.request', 'body': body}, None
            return message

        async def send_marked(message: Message) -> None:
            if message['type'] == 'http.response.start':
                message = {**message, 'headers': [*message['headers'], *_HEADERS]}
            await send(message)

        return await self.app(scope, receive_again, send_marked)

    def _refusal(self, scope: Message, headers: dict[bytes, str]) -> tuple[int, str] | None:
        host = urlsplit(f'//{headers.get(b"host", "")}')
        if self.hosts and host.hostname not in self.hosts:
            return 421, 'this server has another name'
        origin = headers.get(b'origin')
        if origin and self.hosts and urlsplit(origin).netloc != host.netloc:
            return 403, 'pages from elsewhere may not use this one'
        allowed = {'GET': _GET, 'HEAD': _GET, 'POST': _POST}.get(scope['method'])
        if not allowed or '..' in scope['path'] or not allowed.fullmatch(scope['path']):
            return 404, 'there is nothing here'
        length = headers.get(b'content-length', '0')
        if not length.isdecimal() or int(length) > self.max_body:
            return 413, 'the request is too large'
        return None

    async def _body(self, receive: Receive) -> bytes | None:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message['type'] == 'http.disconnect':
                return None
            body += message.get('body', b'')
            if len(body) > self.max_body:
                return None
            more = message.get('more_body', False)
        return bytes(body)


async def _answer(send: Send, status: int, text: str) -> None:
    headers = [(b'content-type', b'text/plain; charset=utf-8'), (b'connection', b'close')]
    await send({'type': 'http.response.start', 'status': status, 'headers': headers + _HEADERS})
    await send({'type': 'http.response.body', 'body': text.encode()})
