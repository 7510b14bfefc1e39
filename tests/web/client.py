"""Talks to the page's server as the page in a browser does, over plain HTTP."""

import base64
import http.client
import json
import zlib
from contextlib import closing
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

EVENTS = ('segment', 'attend')


def data_url(data: bytes) -> str:
    return f'data:image/png;base64,{base64.b64encode(data).decode()}'


def png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8, RGB."""
    file = BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    return file.getvalue()


def labels_of(answer: dict, model: int = 0) -> np.ndarray:
    data = zlib.decompress(base64.b64decode(answer['predictions'][model]['labels']))
    width, height = answer['shown']
    return np.frombuffer(data, '<u2').reshape(height, width)


class Client:
    """A browser's session; `ask` waits for the answer."""

    def __init__(self, address: str, session: str) -> None:
        parts = urlsplit(address)
        self.place = parts.hostname, parts.port
        self.session, self.number = session, 0

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str):
        """Status, and the body."""
        connection = http.client.HTTPConnection(*self.place, timeout=300)
        with closing(connection):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def ask(self, event: str, **asked) -> dict:
        self.number += 1
        call = {
            'data': [],
            'fn_index': EVENTS.index(event),
            'session_hash': self.session,
            'event_data': {'number': self.number, **asked},
        }
        status, content = self.request(
            'POST',
            '/gradio_api/queue/join',
            json.dumps(call).encode(),
            **{'Content-Type': 'application/json'},
        )
        assert status == 200, content[:500]
        status, content = self.request('GET', f'/gradio_api/queue/data?session_hash={self.session}')
        lines = [line[6:] for line in content.decode().splitlines() if line.startswith('data: ')]
        messages = [json.loads(line) for line in lines]
        (done,) = [each for each in messages if each['msg'] == 'process_completed']
        if not done['success']:  # refused by gradio itself
            return {'error': done['output']['error']}
        (answer,) = done['output']['data']
        assert answer['number'] == self.number
        return answer
