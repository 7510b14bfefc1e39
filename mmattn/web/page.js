// Draws the page and asks the server. Texts of the server are set as text, never as HTML.
// `element`, `props`, `trigger` and `watch` are given by gradio's HTML component.
const root = element.querySelector('.mmattn');
const { models, megabytes, examples } = props.value.start;
let number = 0;            // of the latest request; answers to earlier ones are left out
let image = null;          // data URL of the image that was chosen
let answer = null;         // the latest segmentation
let labels = [];           // of each model, a Uint16Array of the shown pixels
let opacity = 0.5;

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
const percent = (share) => `${(100 * share).toFixed(1)} %`;

const message = make('p', { class: 'message', role: 'status' });
const say = (text, error = false) => {
  message.textContent = text;
  message.classList.toggle('error', error);
};

const file = make('input', {
  type: 'file', accept: 'image/*', 'aria-label': 'image file',
  onchange: () => { if (file.files.length) take(file.files[0]); file.value = ''; },
});
const drop = make('div', { class: 'drop' },
  make('div', {}, 'Drop an image here, paste one, or choose a file: ', file));
drop.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
drop.addEventListener('dragleave', () => drop.classList.remove('over'));
drop.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => {
  const found = [...event.clipboardData.files].find((item) => item.type.startsWith('image/'));
  if (found) take(found);
});
if (examples.length) {
  drop.append(make('div', { class: 'examples' }, ...examples.map((source, index) =>
    make('button', { type: 'button', onclick: () => segment(source) },
      make('img', { src: source, alt: `example ${index + 1}` })))));
}

const slider = make('input', {
  type: 'range', min: 0, max: 100, value: 100 * opacity, oninput: () => {
    opacity = slider.value / 100;
    shownOpacity.textContent = `${slider.value} %`;
    views.forEach((view) => { view.canvas.style.opacity = opacity; });
  },
});
const shownOpacity = make('output', {}, '50 %');
const controls = make('div', { class: 'opacity', hidden: '' },
  make('label', { class: 'opacity' }, 'Opacity of the classes', slider), shownOpacity,
  make('span', { class: 'agreement' }));

const views = models.map((model, index) => {
  const view = {
    picture: make('img', { alt: 'the image' }),
    canvas: make('canvas'),
    pointer: make('div', { class: 'mark pointer', hidden: '' }),
    asked: make('div', { class: 'mark', hidden: '' }),
    under: make('div', { class: 'under' }),
    legend: make('ul', { class: 'legend' }),
    panels: make('div', { class: 'panels' }),
    select: make('select', { onchange: () => attend() },
      ...model.layers.map((layer) => make('option', { value: layer }, layer))),
  };
  view.canvas.style.opacity = opacity;
  view.stage = make('div', {
    class: 'stage', tabindex: 0, role: 'application',
    'aria-label': 'segmentation: arrow keys move the pointer, Enter asks what the pixel attends to',
    onpointermove: (event) => point(place(view, event)),
    onpointerleave: () => point(null),
    onclick: (event) => { asked = place(view, event); attend(); },
    onkeydown: (event) => steer(event),
  }, view.picture, view.canvas, view.pointer, view.asked);
  const layer = model.layers.length
    ? make('label', { class: 'layer' }, 'Layer', view.select)
    : make('p', {}, 'This model has no attention that can be asked.');
  view.node = make('figure', {}, make('figcaption', {}, model.name), view.stage, view.under,
    view.legend, layer, view.panels);
  return view;
});
const stages = make('div', { class: 'models', hidden: '' }, ...views.map((view) => view.node));
root.append(make('h1', {}, 'Segmentation and what it attends to'), drop, message, controls, stages);

// Points are pixels [x, y] of the image itself.
let pointed = null;
let asked = null;
const place = (view, event) => {
  const box = view.stage.getBoundingClientRect();
  return [0, 1].map((axis) => {
    const part = axis ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width;
    return Math.min(Math.max(Math.floor(part * answer.size[axis]), 0), answer.size[axis] - 1);
  });
};
const mark = (node, at) => {
  node.hidden = at === null;
  if (at === null) return;
  node.style.left = `${(100 * (at[0] + 0.5)) / answer.size[0]}%`;
  node.style.top = `${(100 * (at[1] + 0.5)) / answer.size[1]}%`;
};
const point = (at) => {
  pointed = at;
  views.forEach((view, index) => {
    mark(view.pointer, at);
    view.under.textContent = '';
    if (at === null || !labels[index]) return;
    const [x, y] = at.map((value, axis) => Math.floor((value * answer.shown[axis]) / answer.size[axis]));
    const label = labels[index][y * answer.shown[0] + x];
    view.under.textContent = `${models[index].classes[label]} at ${at[0]}, ${at[1]}`;
  });
};
const steer = (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const from = pointed || answer.size.map((side) => side >> 1);
  if (event.key === 'Enter') { asked = from; attend(); } else if (!step) return;
  else {
    const far = event.shiftKey ? 10 : 1;
    point(from.map((value, axis) =>
      Math.min(Math.max(value + far * step[axis], 0), answer.size[axis] - 1)));
  }
  event.preventDefault();
};

const take = (chosen) => {
  if (chosen.size > 1e6 * megabytes) {
    say(`The file has ${(chosen.size / 1e6).toFixed(1)} MB, and this page takes ${megabytes} MB: save it smaller.`, true);
    return;
  }
  const reader = new FileReader();
  reader.onload = () => segment(reader.result);
  reader.onerror = () => say('The file cannot be read.', true);
  reader.readAsDataURL(chosen);
};
const segment = (source) => {
  image = source;
  say('Segmenting …');
  trigger('segment', { number: ++number, image });
};
const attend = () => {
  if (!image || !asked || !answer) return;
  views.forEach((view) => mark(view.asked, asked));
  say('Looking at what the pixel attends to …');
  trigger('attend', {
    number: ++number, image, x: asked[0], y: asked[1],
    layers: models.map((model, index) => model.layers.length ? views[index].select.value : null),
  });
};

const unpack = async (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint16Array(await new Response(stream).arrayBuffer());
};
const paint = (view, values, palette) => {
  const [width, height] = answer.shown;
  Object.assign(view.canvas, { width, height });
  const pixels = new ImageData(width, height);
  const colours = new Uint8ClampedArray(palette.flatMap((colour) => [...colour, 255]));
  const words = new Uint32Array(colours.buffer);  // one for each pixel, whatever the byte order
  new Uint32Array(pixels.data.buffer).set(Uint32Array.from(values, (label) => words[label]));
  view.canvas.getContext('2d').putImageData(pixels, 0, 0);
};
const segmented = async (given) => {
  const unpacked = await Promise.all(given.predictions.map((each) => unpack(each.labels)));
  if (given.number !== number) return;
  answer = given;
  labels = unpacked;
  asked = null;
  controls.hidden = stages.hidden = false;
  controls.querySelector('.agreement').textContent =
    'agreement' in given ? `The models agree on ${percent(given.agreement)} of the pixels.` : '';
  views.forEach((view, index) => {
    const { classes, palette } = models[index];
    view.picture.src = given.src;
    paint(view, labels[index], palette);
    view.legend.replaceChildren(...Object.entries(given.predictions[index].shares).map(([name, share]) => {
      const colour = make('i');
      colour.style.background = `rgb(${palette[classes.indexOf(name)].join(' ')})`;
      return make('li', {}, colour, `${name} ${percent(share)}`);
    }));
    view.panels.replaceChildren();
    mark(view.asked, null);
  });
  point(null);
  say('Click a pixel to see what the model attends to from there.');
};
const attended = (given) => {
  views.forEach((view, index) => view.panels.replaceChildren(...given.panels[index].map((panel) =>
    make('img', { src: panel.src, alt: panel.title }))));
  say(`What pixel ${given.point.join(', ')} attends to is shown below the image.`);
};

watch('value', () => {
  const given = props.value;
  if (!given || given.number !== number) return;
  if (given.error) say(`${given.error[0].toUpperCase()}${given.error.slice(1)}.`, true);
  else if (given.event === 'segment') segmented(given);
  else attended(given);
});
