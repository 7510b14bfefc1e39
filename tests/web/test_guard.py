"""Which requests reach the server of the page; no Gradio is needed for that."""

import asyncio

import pytest

from mmattn.web.guard import Guard

LOCAL = ('127.0.0.1', 'localhost')


async def behind(scope, receive, send):
    """What the guard stands before: answers with what it was sent."""
    message = await receive()
    assert not message.get('more_body')
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': message['body']})


def ask(method: str, path: str, *parts: bytes, hosts=LOCAL, max_body=10, **headers: str):
    """Status, headers and body of the answer."""
    headers = {'host': '127.0.0.1:7860', **headers}
    scope = {'type': 'http', 'method': method, 'path': path}
    scope['headers'] = [(name.encode(), value.encode()) for name, value in headers.items()]
    parts = parts or (b'',)
    given = [
        {'type': 'http.request', 'body': part, 'more_body': index + 1 < len(parts)}
        for index, part in enumerate(parts)
    ]
    sent = []

    async def receive():
        return given.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(behind, max_body, hosts)(scope, receive, send))
    return sent[0]['status'], dict(sent[0]['headers']), sent[1]['body']


@pytest.mark.parametrize(
    'path', ['/', '/config', '/theme.css', '/assets/index-Dphv.js', '/static/js/a.min.js']
)
def test_the_page_and_its_parts_are_served(path):
    status, headers, _ = ask('GET', path)
    assert status == 200
    assert b"default-src 'self'" in headers[b'content-security-policy']


@pytest.mark.parametrize(
    'method, path',
    [
        ('GET', '/gradio_api/file=/etc/passwd'),
        ('GET', '/gradio_api/file/etc/passwd'),
        ('GET', '/file=/etc/passwd'),
        ('GET', '/gradio_api/proxy=http://example.org'),
        ('GET', '/assets/../../../../etc/passwd'),
        ('GET', '/assets/..'),
        ('GET', '/static//etc/passwd?'),
        ('GET', '/gradio_api/info'),
        ('GET', '/gradio_api/openapi.json'),
        ('GET', '/gradio_api/runs'),
        ('GET', '/gradio_api/upload_progress'),
        ('GET', '/svelte/svelte.js'),
        ('GET', '/\n'),
        ('POST', '/gradio_api/upload'),
        ('POST', '/gradio_api/component_server'),
        ('POST', '/gradio_api/run/segment'),
        ('POST', '/gradio_api/call/segment'),
        ('POST', '/gradio_api/mcp'),
        ('POST', '/'),
        ('PUT', '/gradio_api/queue/join'),
        ('DELETE', '/'),
    ],
)
def test_nothing_else_is(method, path):
    status, headers, body = ask(method, path)
    assert status == 404 and body == b'there is nothing here'
    assert b'content-security-policy' in headers


def test_requests_arrive_whole_up_to_the_bound():
    join = ('POST', '/gradio_api/queue/join')
    assert ask(*join, b'12345', b'67890')[::2] == (200, b'1234567890')
    assert ask(*join, b'12345', b'678901', b'')[0] == 413
    assert ask(*join, b'', **{'content-length': '11'})[0] == 413
    assert ask(*join, b'', **{'content-length': '-1'})[0] == 413


def test_pages_from_elsewhere_cannot_use_a_server_for_this_machine():
    assert ask('GET', '/', host='evil.example:7860')[0] == 421
    assert ask('GET', '/', host='')[0] == 421
    join = ('POST', '/gradio_api/queue/join')
    assert ask(*join, origin='http://evil.example')[0] == 403
    assert ask(*join, origin='http://127.0.0.1:7860')[0] == 200
    # In a network it may be called by any name.
    assert ask('GET', '/', host='photos.example', hosts=())[0] == 200
