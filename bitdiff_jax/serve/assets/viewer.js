// The image, its regions and what is said of them. `props.value` is `ResultView.shown`; the server
// is told of two points ('select'; it answers in `props.told.text`), of the sample to look at
// ('input') and of edits ('submit').
const part = (name) => element.querySelector(name);
const state = {
  layer: "regions", mode: "region", strength: 0.45,
  points: [], stroke: null, cross: null, hovered: 0, picked: 0,
};
let value = null, size = null, ids = null, layers = {}, zoom = 1, turn = 0, asked = 0;

const LEGENDS = {
  regions: "A colour for each region; white where two meet.",
  boundary: "Red where the samples draw a boundary: the stronger, the more of them.",
  agreement: "Orange where the samples disagree on the region: the stronger, the less they agree.",
  image: "The image alone.",
};

const HINTS = {
  points: "Click two points: do they lie in one region?",
  same: "Click two points that lie in one region.",
  different: "Click two points that lie in two regions.",
  keep: "Click a region that is right: it stays as it is.",
  merge: "Click two regions that are to be one.",
  split: "Draw a line over the part that is to be a region of its own.",
  paint: "Draw along what is to be a region of its own.",
  extend: "Begin in a region, and draw along what belongs to it too.",
};
const isEdit = () => !["region", "points"].includes(state.mode);
const isOfRegions = () => ["region", "keep", "merge"].includes(state.mode);
const isBrush = () => ["paint", "extend"].includes(state.mode);
const isStroke = () => state.mode === "split" || isBrush();

const pixels = async (uri) => {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return { canvas, data: context.getImageData(0, 0, canvas.width, canvas.height).data };
};

// A picture of the view's size from a function of the pixel that gives red, green, blue, alpha.
const painted = (colour) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  const data = context.createImageData(...size);
  for (let i = 0; i < ids.length; i++) {
    const c = colour(i);
    if (c) data.data.set(c, 4 * i);
  }
  context.putImageData(data, 0, 0);
  return canvas;
};

const isBorder = (i) => {
  const [width] = size, column = i % width;
  return (column + 1 < width && ids[i] !== ids[i + 1])
    || (i + width < ids.length && ids[i] !== ids[i + width]);
};

const outlines = (id) => {
  const [width] = size;
  const of = (i) => ids[i] === id;
  return painted((i) => {
    if (!of(i)) return null;
    const column = i % width;
    const edge = column === 0 || column + 1 === width || i < width || i + width >= ids.length
      || !of(i - 1) || !of(i + 1) || !of(i - width) || !of(i + width);
    return edge ? [255, 255, 255, 255] : [255, 255, 255, 70];
  });
};

const load = async () => {
  const own = ++turn, next = props.value;
  element.querySelector(".bd").classList.toggle("bd-none", !next);
  if (!next) return;
  const image = await pixels(next.image), coded = await pixels(next.ids);
  const greys = {};
  for (const name of ["boundary", "agreement"]) {
    greys[name] = next[name] ? (await pixels(next[name])).data : null;
  }
  if (own !== turn) return; // a newer one came meanwhile
  const isNew = !value || value.image !== next.image;
  value = next;
  size = [coded.canvas.width, coded.canvas.height];
  ids = new Int32Array(size[0] * size[1]);
  for (let i = 0; i < ids.length; i++) {
    ids[i] = coded.data[4 * i] + 256 * coded.data[4 * i + 1] + 65536 * coded.data[4 * i + 2];
  }
  const colours = Object.fromEntries(value.regions.map((r) => [r.id, r.colour]));
  layers = {
    image: image.canvas,
    tints: painted((i) => (ids[i] ? [...colours[ids[i]], 255] : null)),
    borders: painted((i) => (isBorder(i) ? [255, 255, 255, 255] : null)),
    boundary: greys.boundary && painted((i) => [255, 20, 70, greys.boundary[4 * i]]),
    agreement: greys.agreement && painted((i) => [255, 140, 0, 255 - greys.agreement[4 * i]]),
    outlines: {},
  };
  if (isNew) state.cross = null;
  if (isNew || isEdit()) state.points = [];
  Object.assign(state, { stroke: null, hovered: 0, picked: 0 });
  const canvas = part("canvas");
  // Of a small image, marks and lines need more pixels than it has.
  zoom = Math.max(1, Math.round(900 / Math.max(...size)));
  [canvas.width, canvas.height] = size.map((side) => side * zoom);
  canvas.style.width = `min(100%, calc(60vh * ${size[0] / size[1]}))`;
  for (const name of ["boundary", "agreement"]) {
    part(`input[value=${name}]`).disabled = !layers[name];
  }
  if (!layers[state.layer] && state.layer !== "regions") state.layer = "regions";
  strip();
  tell();
  draw();
};

const strip = () => {
  const box = part(".bd-strip");
  box.replaceChildren();
  if (value.samples.length < 2) return;
  const add = (image, text, sample) => {
    const button = document.createElement("button"), picture = document.createElement("img");
    button.type = "button";
    button.dataset.sample = sample === null ? "" : sample;
    button.setAttribute("aria-pressed", String(value.sample === sample));
    picture.src = image;
    picture.alt = "";
    button.append(picture, document.createTextNode(text));
    box.append(button);
  };
  add(value.all, "Consensus", null);
  for (const each of value.samples) add(each.image, `Sample ${each.number + 1}`, each.number);
};

const marker = (context, [row, column], text) => {
  // On a small screen it is larger in the image, so that it can still be read.
  const shown = part("canvas").clientWidth || 500;
  const radius = (Math.max(...size) / 55) * Math.max(1, 550 / shown);
  context.beginPath();
  context.arc(column + 0.5, row + 0.5, radius, 0, 2 * Math.PI);
  context.fillStyle = "#111";
  context.fill();
  context.lineWidth = radius / 5;
  context.strokeStyle = "#fff";
  context.stroke();
  context.fillStyle = "#fff";
  context.font = `bold ${1.25 * radius}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, column + 0.5, row + 0.5 + radius / 12);
};

const draw = () => {
  if (!value) return;
  for (const name of ["layer", "mode"]) part(`input[value=${state[name]}]`).checked = true;
  part("input[name=bd-strength]").value = 100 * state.strength;
  part(".bd-legend").textContent = LEGENDS[state.layer];
  const context = part("canvas").getContext("2d");
  const pen = Math.max(...size) / 450;
  context.setTransform(zoom, 0, 0, zoom, 0, 0);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = 1;
  context.drawImage(layers.image, 0, 0);
  if (state.layer === "regions") {
    context.globalAlpha = state.strength;
    context.drawImage(layers.tints, 0, 0);
    context.globalAlpha = Math.min(1, 2 * state.strength);
    context.drawImage(layers.borders, 0, 0);
  } else if (state.layer !== "image") {
    context.globalAlpha = Math.min(1, 2 * state.strength);
    context.drawImage(layers[state.layer], 0, 0);
  }
  context.globalAlpha = 1;
  for (const id of new Set([state.hovered, state.picked])) {
    if (!id) continue;
    layers.outlines[id] ??= outlines(id);
    context.drawImage(layers.outlines[id], 0, 0);
  }
  if (value.question) {
    marker(context, value.question.p, "A");
    marker(context, value.question.q, "B");
  }
  state.points.forEach((point, k) => marker(context, point, String(k + 1)));
  if (state.stroke) {
    context.beginPath();
    for (const [row, column] of state.stroke) context.lineTo(column + 0.5, row + 0.5);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = isBrush() ? Math.max(1, Math.max(...size) / 40) : 2 * pen;
    context.strokeStyle = "rgba(255, 255, 255, 0.85)";
    context.stroke();
  }
  if (state.cross) {
    const [row, column] = state.cross;
    context.strokeStyle = "#fff";
    context.lineWidth = pen;
    const arm = 8 * pen;
    context.strokeRect(column + 0.5 - arm, row + 0.5 - arm, 2 * arm, 2 * arm);
  }
};

const number = (n) => Math.round(n).toLocaleString("en");
const words = (id) => {
  const region = value.regions.find((each) => each.id === id);
  if (!region) return "Background";
  const parts = [
    `Region ${id}: ${number(region.area)} pixels, ${(100 * region.share).toFixed(1)} % of the image`,
  ];
  if (region.low !== null) {
    parts.push(`${number(region.low)} to ${number(region.high)} in 90 % of the samples`);
  }
  if (region.agreement !== null) parts.push(`agreement ${region.agreement.toFixed(2)}`);
  if (region.pieces > 1) parts.push(`in ${region.pieces} pieces`);
  const others = region.neighbours.slice(0, 8).join(", "), more = region.neighbours.length - 8;
  if (others) parts.push(`next to ${others}${more > 0 ? ` and ${more} more` : ""}`);
  return `${parts.join("; ")}.`;
};

const tell = () => {
  let text = `Point at a region, or click it. ${value.regions.length} regions.`;
  if (state.mode !== "region") {
    text = HINTS[state.mode];
    if (isEdit()) text += " The rest is drawn anew.";
    if (state.points.length === 1) text = "Click the second one.";
  } else if (state.picked) {
    text = words(state.picked);
  }
  part(".bd-info").textContent = text;
};

const click = (point) => {
  if (state.mode === "region") {
    const id = ids[point[0] * size[0] + point[1]];
    state.picked = state.picked === id ? 0 : id;
  } else if (state.mode === "keep") {
    trigger("submit", { edit: "keep", points: [point] });
  } else {
    state.points = state.points.length === 2 ? [point] : [...state.points, point];
    if (state.points.length === 2) {
      const [p, q] = state.points;
      if (isEdit()) trigger("submit", { edit: state.mode, points: [p, q] });
      else trigger("select", { p, q, turn: ++asked }); // a turn, so that an answer is told again
    }
  }
  tell();
  draw();
};

// A line for split and paint: begun, drawn on, and sent.
const begin = (point) => {
  state.stroke = [point];
  draw();
};
const drawOn = (point) => {
  const [row, column] = state.stroke.at(-1);
  if (row === point[0] && column === point[1]) return;
  state.stroke.push(point);
  draw();
};
const send = () => {
  trigger("submit", { edit: state.mode, points: state.stroke });
};

const pointOf = (event) => {
  const box = part("canvas").getBoundingClientRect();
  const at = (position, length, count) =>
    Math.min(count - 1, Math.max(0, Math.floor((position * count) / length)));
  return [
    at(event.clientY - box.top, box.height, size[1]),
    at(event.clientX - box.left, box.width, size[0]),
  ];
};

const hover = (id, event) => {
  const tip = part(".bd-tip");
  tip.hidden = !id;
  if (id) {
    const stage = part(".bd-stage").getBoundingClientRect();
    tip.textContent = words(id);
    const left = event.clientX - stage.left + 14;
    tip.style.left = `${Math.max(0, Math.min(left, stage.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${event.clientY - stage.top + 18}px`;
  }
  if (id !== state.hovered) {
    state.hovered = id;
    draw();
  }
};

let pressed = false;
element.addEventListener("pointerdown", (event) => {
  if (!value || !isStroke() || event.target !== part("canvas") || event.button) return;
  pressed = true;
  event.target.setPointerCapture(event.pointerId);
  begin(pointOf(event));
});
element.addEventListener("pointerup", () => {
  if (pressed) send();
  pressed = false;
});
element.addEventListener("pointercancel", () => {
  if (pressed) state.stroke = null;
  pressed = false;
  draw();
});
element.addEventListener("pointermove", (event) => {
  if (pressed) drawOn(pointOf(event));
  if (!value || event.pointerType === "touch") return;
  const over = event.target === part("canvas") && isOfRegions();
  const [row, column] = over ? pointOf(event) : [0, 0];
  hover(over ? ids[row * size[0] + column] : 0, event);
});
element.addEventListener("pointerleave", (event) => value && hover(0, event));
element.addEventListener("click", (event) => {
  if (!value) return;
  if (event.target === part("canvas") && !isStroke()) {
    state.cross = null;
    click(pointOf(event));
  }
  const button = event.target.closest("button[data-sample]");
  if (button) {
    trigger("input", { sample: button.dataset.sample === "" ? null : Number(button.dataset.sample) });
  }
});
element.addEventListener("input", (event) => {
  // It is no event of this component.
  event.stopPropagation();
  const { name } = event.target;
  if (name === "bd-layer") state.layer = event.target.value;
  if (name === "bd-strength") state.strength = event.target.value / 100;
  if (name === "bd-mode") {
    Object.assign(state, { mode: event.target.value, points: [], stroke: null, picked: 0 });
    part("canvas").style.touchAction = isStroke() ? "none" : "";
  }
  if (value) {
    tell();
    draw();
  }
});
element.addEventListener("keydown", (event) => {
  if (!value || event.target !== part("canvas")) return;
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const move = moves[event.key];
  if (move) {
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(...size) / 50));
    const from = state.cross ?? [size[1] >> 1, size[0] >> 1];
    state.cross = [0, 1].map((k) =>
      Math.min(size[1 - k] - 1, Math.max(0, from[k] + step * move[k])));
    if (state.stroke) drawOn(state.cross);
    state.hovered = isOfRegions() ? ids[state.cross[0] * size[0] + state.cross[1]] : 0;
  } else if ((event.key === "Enter" || event.key === " ") && state.cross) {
    if (!isStroke()) click(state.cross);
    else if (state.stroke) send();
    else begin(state.cross);
  } else if (event.key === "Escape") {
    Object.assign(state, { points: [], stroke: null, cross: null, hovered: 0, picked: 0 });
    tell();
  } else {
    return;
  }
  event.preventDefault();
  draw();
});
watch("value", load);
watch("told", () => {
  if (props.told && state.mode === "points") part(".bd-info").textContent = props.told.text;
});
load();
