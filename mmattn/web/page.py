"""The page itself, in Gradio: one component, which the browser draws (page.js), and two events."""

import asyncio
import gc
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmattn.errors import UserError
from mmattn.web.limits import Limits
from mmattn.web.models import ShownModel, agreement, data_url, shown, shown_image
from mmattn.web.start import import_gradio

HERE = Path(__file__).parent
MAX_WAITING = 32  # requests that wait for the model; more are told to come back
MAX_NUMBER = 10**6  # of what a browser counts, so that it is a number and stays one


class Page:
    """What the events of the page do. One request at a time reaches a model, in one thread.

    Args:
        models: One, or two that are compared.
        limits: Bounds on images.
        examples: Images to choose from.
    """

    def __init__(
        self, models: Sequence[ShownModel], limits: Limits, examples: Sequence[Path] = ()
    ) -> None:
        self.models, self.limits = models, limits
        self.start = {
            'models': [model.facts() for model in models],
            'megabytes': limits.megabytes,
            'examples': [data_url(path.read_bytes(), 'png') for path in examples],
        }
        # Threads that come and go would each keep memory of torch's.
        self._thread = ThreadPoolExecutor(1, 'model')

    def segment(self, asked: dict) -> dict[str, Any]:
        """Answer ``{image}``: the prediction of each model."""
        image = self.limits.read(asked.get('image'))
        predictions = [model.segment(image) for model in self.models]
        answer = {**shown_image(image), 'predictions': [shown(each) for each in predictions]}
        if len(predictions) == 2:
            answer['agreement'] = agreement(*predictions)
        return answer

    def attend(self, asked: dict) -> dict[str, Any]:
        """Answer ``{image, x, y, layers}``: what each model attends to from a pixel.

        ``layers`` has the name of one layer for each model, or null where it has none.
        """
        image = self.limits.read(asked.get('image'))
        x, y, layers = asked.get('x'), asked.get('y'), asked.get('layers')
        height, width = image.shape[:2]
        if not (type(x) is type(y) is int and 0 <= x < width and 0 <= y < height):
            raise UserError(f'the point is outside of the image of {width} x {height} pixels')
        if not isinstance(layers, list) or len(layers) != len(self.models):
            raise UserError('the request must name one layer for each model')
        panels = [
            [] if not model.layers else model.attend(image, (x, y), layer)
            for model, layer in zip(self.models, layers, strict=True)
        ]
        return {'point': [x, y], 'panels': panels}

    def blocks(self) -> Any:
        """The `gradio.Blocks`."""
        gradio = import_gradio()
        with gradio.Blocks(title='mmattn', analytics_enabled=False) as blocks:
            view = gradio.HTML(
                {'start': self.start},
                html_template='<div class="mmattn"></div>',
                css_template=(HERE / 'page.css').read_text(encoding='utf-8'),
                js_on_load=(HERE / 'page.js').read_text(encoding='utf-8'),
                elem_id='mmattn',
            )
            for listen, answer in ((view.segment, self.segment), (view.attend, self.attend)):
                listen(
                    self._event(gradio, answer),
                    None,  # no input: gradio looks for files in inputs
                    view,
                    show_progress='hidden',
                    api_visibility='private',
                    concurrency_id='model',
                    concurrency_limit=1,
                )
        blocks.queue(max_size=MAX_WAITING, api_open=False)
        return blocks

    def _event(self, gradio: Any, answer: Callable[[dict], dict]) -> Callable:
        def answered(asked: dict) -> dict:
            number = asked.get('number')
            known = type(number) is int and 0 <= number < MAX_NUMBER
            reply = {'event': answer.__name__, 'number': number if known else 0}
            try:
                return {**reply, **answer(asked)}
            except UserError as error:
                return {**reply, 'error': str(error)}
            except Exception:  # of the model, such as no memory: the page must not wait for ever
                traceback.print_exc()
                return {**reply, 'error': 'the server failed; its terminal says why'}
            finally:
                gc.collect()  # figures hold themselves, and images with them, until then

        async def event(data: gradio.EventData) -> dict:
            asked = data._data if isinstance(data._data, dict) else {}
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, answered, asked)

        return event
