"use strict";
// The page around a picture: zoom and pan, hover and choose, play forward and backward, follow paths, fold steps.
// The picture is in the page already; `data` holds what it doesn't show (see html.py).

const data = JSON.parse(document.getElementById("data").textContent);
const stage = document.getElementById("stage");
const svg = stage.querySelector("svg");
const find = (id) => document.getElementById(id);
const all = (selector) => [...svg.querySelectorAll(selector)];
const boxes = new Map(all("g[data-v]").map((box) => [Number(box.dataset.v), box]));
const size = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };

// --- light and dark ---------------------------------------------------------------------------------------------------

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  drawMap();
};
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
find("theme").addEventListener("click", () =>
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

// --- folding: a step becomes a narrow strip; everything right of it moves to the left --------------------------------------

const FOLDED = 22;
const folded = new Set(data.folded);
const places = new Map(); // each element's coordinates as they were drawn

function warp(x) {
  let shift = 0;
  for (const [step, left, right] of data.columns) {
    if (!folded.has(step)) continue;
    if (x >= right) shift += right - left - FOLDED;
    else if (x > left) return left - shift + ((x - left) / (right - left)) * FOLDED;
  }
  return x - shift;
}

function remember(element) {
  const read = (name) => Number(element.getAttribute(name));
  if (element.tagName === "rect") places.set(element, { x: read("x"), width: read("width") });
  else if (element.tagName === "text") places.set(element, { x: read("x") });
  else if (element.tagName === "circle") places.set(element, { cx: read("cx") });
  else places.set(element, { d: element.getAttribute("d") });
}
all("rect, text, circle, path").filter((e) => !e.closest("defs")).forEach(remember);

// What stands outside all steps moves as one and keeps its size; bars, which lie over all steps, shrink with these.

const [first, last] = [data.columns[0], data.columns.at(-1)];
const isBar = ({ x, width }) => first && x <= first[2] && x + width >= last[1];
const outside = new Map(data.bands.map((v) => [v, places.get(boxes.get(v)?.querySelector("rect"))])
  .filter(([, place]) => place && !isBar(place)));
const band = { left: Math.min(...[...outside.values()].map((place) => place.x)),
  right: Math.max(...[...outside.values()].map((place) => place.x + place.width)), shift: 0 };

function shiftBand() {
  const middle = (band.left + band.right) / 2;
  const edge = Math.max(warp(last[2]) - band.right, first[1] - band.left); // not beyond the last step, if there is room
  band.shift = Math.min(warp(middle) - middle, edge);
}

const warpBand = (x) => (x >= band.left && x <= band.right ? x + band.shift : warp(x));

function isOutside(element) {
  const [box, edge] = [element.closest("g[data-v]"), element.dataset.e];
  return box ? outside.has(Number(box.dataset.v)) : edge !== undefined && outside.has(data.edges[edge][1]);
}
const loose = new Set([...places.keys()].filter(isOutside));
const leavesStep = (path) => boxes.get(data.edges[path.dataset.e]?.[0])?.dataset.t !== undefined;

function isInside(x) {
  return data.columns.some(([step, left, right]) => folded.has(step) && x > left && x < right);
}

function fold() {
  if (outside.size && first) shiftBand();
  for (const [element, place] of places) {
    const moved = loose.has(element) ? warpBand : warp;
    if (place.d !== undefined) {
      const begins = leavesStep(element) ? warp : moved; // a line's first point is at its source
      element.setAttribute("d", place.d.replace(/(-?[\d.]+) (-?[\d.]+)/g,
        (_, x, y, at) => `${(at < 2 ? begins : moved)(+x).toFixed(1)} ${y}`));
    } else if (place.width !== undefined) {
      element.setAttribute("x", moved(place.x));
      element.setAttribute("width", Math.max(moved(place.x + place.width) - moved(place.x), 1));
    } else if (place.cx !== undefined) {
      element.setAttribute("cx", moved(place.cx));
    } else {
      element.setAttribute("x", moved(place.x));
      const stays = loose.has(element) || element.matches(".heading, g[data-v]:not([data-t]) *");
      if (!stays) element.classList.toggle("folded", isInside(place.x));
    }
  }
  for (const heading of all("text.heading[data-t]")) {
    const step = Number(heading.dataset.t);
    heading.textContent = folded.has(step) ? step : `t = ${step}`;
    heading.setAttribute("aria-expanded", String(!folded.has(step)));
  }
  drawn = warp(size.width);
  drawMap();
  show();
}

function toggleFold(step) {
  if (!folded.delete(step)) folded.add(step);
  fold();
}

function say(text) {
  find("said").textContent = text;
}

function foldMiddle() {
  const steps = data.steps.length;
  if (!data.columns.length) return say("Nothing to fold: one step stands for all of them here.");
  if (!data.middle.length) {
    const all = steps === 1 ? "there is one step" : `these are only ${steps} steps`;
    return say(`Nothing to fold: ${all}. Click a heading, t = ${data.steps[0]} say, to fold that one.`);
  }
  if (data.middle.every((step) => folded.has(step))) return say(`Folded already: steps ${data.middle[0]} to ${data.middle.at(-1)}.`);
  data.middle.forEach((step) => folded.add(step));
  say(`Folded: steps ${data.middle[0]} to ${data.middle.at(-1)}.`);
  fold();
  home();
}

function unfoldAll() {
  if (!folded.size) return say("Nothing is folded.");
  folded.clear();
  say("");
  fold();
  home();
}

for (const heading of all("text.heading[data-t]")) {
  heading.setAttribute("tabindex", "0");
  heading.setAttribute("role", "button");
  heading.setAttribute("aria-label", `step ${heading.dataset.t}: fold or unfold`);
  heading.addEventListener("click", () => toggleFold(Number(heading.dataset.t)));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      toggleFold(Number(heading.dataset.t));
    }
  });
}
find("unfold").addEventListener("click", unfoldAll);
find("fold").addEventListener("click", foldMiddle);

// --- zoom and pan: the stage scrolls over a sheet as large as the picture; the picture shows what lies under the stage -----

const LEAST_TEXT = 11; // pixels: the page opens no smaller
const BORDER = 24; // pixels of paper around the picture
const sheet = find("sheet");
let drawn = size.width;
let view = { x: 0, y: 0, scale: 1 }; // the picture's point in the corner of the stage, and pixels for each point

all(".again, .again-title").forEach((text) => text.remove()); // here names stay in sight by themselves
const sizes = all("text, tspan").map((text) => Number(text.getAttribute("font-size"))).filter(Boolean);
const readable = LEAST_TEXT / Math.min(...sizes, LEAST_TEXT);
const inside = () => ({ width: stage.clientWidth, height: stage.clientHeight });

function within(start, room, length) { // where a view of some room may start on a length; in the middle, if all is in it
  const border = BORDER / view.scale;
  return room >= length + 2 * border ? (length - room) / 2 : Math.min(Math.max(start, -border), length + border - room);
}
function show() {
  const { width, height } = inside();
  const [across, down] = [width / view.scale, height / view.scale];
  view.x = within(view.x, across, drawn);
  view.y = within(view.y, down, size.height);
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${across} ${down}`);
  sheet.style.width = `${Math.max(drawn * view.scale + 2 * BORDER, 1)}px`;
  sheet.style.height = `${Math.max(size.height * view.scale + 2 * BORDER - height, 0)}px`;
  stage.scrollLeft = view.x * view.scale + BORDER;
  stage.scrollTop = view.y * view.scale + BORDER;
  keepNamesInSight(view.x, view.x + across);
  frameMap(across, down);
}
function lookAt(x, y, share = 0.5) {
  const { width, height } = inside();
  view.x = x - width / view.scale / 2;
  view.y = y - (height / view.scale) * share;
  show();
}
function whole() {
  const { width, height } = inside();
  return Math.min((width - 2 * BORDER) / drawn, (height - 2 * BORDER) / size.height);
}
function fit() {
  view.scale = Math.max(whole(), 0.02);
  lookAt(drawn / 2, size.height / 2);
}
function home() { // large enough to read; where that is too large for all of it, at the loss
  view.scale = Math.max(Math.min(whole(), 1.6), readable);
  const loss = boxes.get(data.roots[0])?.querySelector("rect");
  if (!loss) return lookAt(drawn / 2, size.height / 2);
  const read = (name) => Number(loss.getAttribute(name));
  lookAt(read("x") + read("width") / 2, read("y") + read("height") / 2, 0.2);
}
function zoom(factor, at) {
  const { width, height } = inside();
  at ??= { x: view.x + width / view.scale / 2, y: view.y + height / view.scale / 2 };
  const scale = Math.min(Math.max(view.scale / factor, 0.02), 20);
  view.x = at.x - ((at.x - view.x) * view.scale) / scale;
  view.y = at.y - ((at.y - view.y) * view.scale) / scale;
  view.scale = scale;
  show();
}
function pan(dx, dy) {
  view.x += (dx * inside().width) / view.scale;
  view.y += (dy * inside().height) / view.scale;
  show();
}
function reveal(left, right, top = view.y, bottom = view.y) { // as little as is needed to have all of it in sight
  const { width, height } = inside();
  const [across, down, border] = [width / view.scale, height / view.scale, BORDER / view.scale];
  view.x = Math.min(Math.max(view.x, right + border - across), left - border);
  view.y = Math.min(Math.max(view.y, bottom + border - down), Math.max(top - border, 0));
  show();
}
function pointerPlace(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return { x: point.x, y: point.y };
}
stage.addEventListener("scroll", () => {
  const moved = { x: (stage.scrollLeft - BORDER) / view.scale, y: (stage.scrollTop - BORDER) / view.scale };
  if (Math.max(Math.abs(moved.x - view.x), Math.abs(moved.y - view.y)) * view.scale < 1.5) return;
  const { width, height } = inside();
  if (width < drawn * view.scale + 2 * BORDER) view.x = moved.x;
  if (height < size.height * view.scale + 2 * BORDER) view.y = moved.y;
  show();
});
const framed = window.self !== window.top; // in a notebook the wheel goes on scrolling that, until one clicks here
stage.addEventListener("wheel", (event) => {
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
  if (framed && !event.ctrlKey && !stage.contains(document.activeElement)) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, pointerPlace(event));
}, { passive: false });
let grabbed = null;
const fingers = new Map();
stage.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  if (event.pointerType === "mouse") grabbed = pointerPlace(event); // fingers scroll
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (before && fingers.size === 2) {
    const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    zoom(apart(before) / apart(event), pointerPlace(other));
  }
  if (before) fingers.set(event.pointerId, event);
  if (!grabbed || !event.buttons) return;
  const now = pointerPlace(event);
  view.x += grabbed.x - now.x;
  view.y += grabbed.y - now.y;
  stage.classList.add("dragging");
  show();
});
const release = (event) => { fingers.delete(event.pointerId); grabbed = null; stage.classList.remove("dragging"); };
window.addEventListener("pointerup", release);
window.addEventListener("pointercancel", release);
find("in").addEventListener("click", () => zoom(1 / 1.25));
find("out").addEventListener("click", () => zoom(1.25));
find("fit").addEventListener("click", fit);
let untouched = true; // until someone does something, the page opens again whenever it gets another size
for (const kind of ["pointerdown", "wheel", "keydown"]) window.addEventListener(kind, () => (untouched = false), true);
new ResizeObserver(() => { drawMap(); (!untouched ? show : data.film ? fit : home)(); }).observe(stage);

// What is wider than the stage has its name in the middle of what one sees of it; a layer has it at the left.
const wide = [...boxes.values()].filter((box) => box.querySelector("rect").width.baseVal.value > 300);
const layers = all("text.lane-title").map((title) => [title, title.previousElementSibling]);

function keepNamesInSight(left, right) {
  for (const box of wide) {
    const bar = box.querySelector("rect");
    const start = Math.max(Number(bar.getAttribute("x")), left);
    const end = Math.min(Number(bar.getAttribute("x")) + Number(bar.getAttribute("width")), right);
    if (end - start > 20) box.querySelectorAll("text").forEach((text) => text.setAttribute("x", (start + end) / 2));
  }
  for (const [title, frame] of layers) {
    const start = Number(frame.getAttribute("x")) + 8;
    const end = Number(frame.getAttribute("x")) + Number(frame.getAttribute("width")) - 8 - title.getBBox().width;
    title.setAttribute("x", Math.max(start, Math.min(left + 8, end)));
  }
}

// --- the minimap --------------------------------------------------------------------------------------------------------

const map = find("map");
const mapped = map.querySelector("canvas");

function drawMap() {
  const { width, height } = inside();
  const scale = Math.min(Math.min(200, width * 0.3) / drawn, Math.min(120, height * 0.25) / size.height);
  map.style.width = `${drawn * scale}px`;
  map.style.height = `${size.height * scale}px`;
  const sharp = window.devicePixelRatio || 1;
  [mapped.width, mapped.height] = [Math.ceil(drawn * scale * sharp), Math.ceil(size.height * scale * sharp)];
  const pen = mapped.getContext("2d");
  pen.scale(scale * sharp, scale * sharp);
  for (const area of all("rect.column, rect.hidden, g[data-v] > rect")) {
    const read = (name) => Number(area.getAttribute(name));
    const style = getComputedStyle(area);
    const isBox = area.parentElement.dataset.v !== undefined;
    pen.fillStyle = isBox ? style.stroke : style.fill;
    pen.fillRect(read("x"), read("y"), read("width"), read("height"));
  }
}
function frameMap(across, down) {
  map.hidden = across >= drawn && down >= size.height;
  const share = (start, room, length) => [Math.max(start / length, 0), Math.min((start + room) / length, 1)];
  const [[left, right], [top, bottom]] = [share(view.x, across, drawn), share(view.y, down, size.height)];
  const frame = map.querySelector("div").style;
  [frame.left, frame.width] = [`${left * 100}%`, `${(right - left) * 100}%`];
  [frame.top, frame.height] = [`${top * 100}%`, `${(bottom - top) * 100}%`];
}
function goOnMap(event) {
  if (event.type === "pointermove" && !event.buttons) return;
  const place = map.getBoundingClientRect();
  lookAt(((event.clientX - place.x) / place.width) * drawn, ((event.clientY - place.y) / place.height) * size.height);
}
map.addEventListener("pointerdown", goOnMap);
map.addEventListener("pointermove", goOnMap);

// --- details of one node ------------------------------------------------------------------------------------------------

let chosen = null;
function describe(vertex) {
  const box = boxes.get(vertex);
  const text = (tag) => box.querySelector(tag)?.textContent ?? "";
  find("details").textContent = [text("title"), text("desc")].filter(Boolean).join("\n");
}
function choose(vertex) {
  if (chosen !== null) boxes.get(chosen).classList.remove("chosen");
  chosen = vertex;
  boxes.get(vertex).classList.add("chosen");
  describe(vertex);
}
for (const [vertex, box] of boxes) {
  box.addEventListener("pointerenter", () => describe(vertex));
  box.addEventListener("pointerleave", () => chosen !== null && describe(chosen));
  box.addEventListener("click", () => {
    choose(vertex);
    if (data.parameterOf[vertex] !== undefined) find("parameter").value = data.parameterOf[vertex];
    else if (data.lossOf[vertex] !== undefined) find("loss").value = data.lossOf[vertex];
    else return;
    followPaths();
  });
}

// --- playing: forward through the steps, then backward through them -----------------------------------------------------------

const frames = [
  { text: "the whole graph" },
  ...data.steps.map((step) => ({ forward: step, text: `forward: step ${step}` })),
  { forward: Infinity, text: "forward: the loss" },
  ...(data.partial.length ? [{ backward: Infinity, text: "backward: from the loss" }] : []),
  ...(data.partial.length ? [...data.steps].reverse().map((step) => ({ backward: step, text: `backward: step ${step}` })) : []),
];
const slider = find("slider");
slider.max = frames.length - 1;

function stepOf(element) {
  return element.dataset.t === undefined ? null : Number(element.dataset.t);
}

function showFrame(number) {
  clearPaths();
  slider.value = number;
  const frame = frames[number];
  find("phase").textContent = frame.text;
  slider.setAttribute("aria-valuetext", frame.text);
  for (const element of all("[data-v], [data-e]")) {
    const step = stepOf(element);
    const after = frame.forward !== undefined && (step === null ? isBand(element) && frame.forward !== Infinity : step > frame.forward);
    element.classList.toggle("later", after);
    element.classList.toggle("now", step !== null && (step === frame.forward || step === frame.backward));
    const flows = element.tagName === "path" && data.flows.includes(Number(element.dataset.e ?? -1));
    const reached = frame.backward !== undefined && (step === null ? isBand(element) : Math.max(step, data.steps[0]) >= frame.backward);
    element.classList.toggle("flows", flows && reached);
    const summed = data.parameterOf[element.dataset.v] === undefined ? reached : frame.backward <= Math.min(...data.steps);
    element.classList.toggle("unflowed", frames[0] !== frame && !summed); // numbers appear when the pass comes to them
  }
  showPartialSums(frame.backward);
  follow(frame);
}

function follow(frame) { // what happens now is in sight
  const step = frame.forward ?? frame.backward;
  const column = data.columns.find(([t]) => t === step);
  if (column) reveal(warp(column[1]), warp(column[2]));
  else if (step === Infinity && boxes.has(data.roots[0])) revealBox(boxes.get(data.roots[0]));
}

function isBand(element) {
  return data.bands.includes(Number(element.dataset.v ?? -1)) || data.bandEdges.includes(Number(element.dataset.e ?? -1));
}

function showPartialSums(step) {
  const cells = document.querySelectorAll("td[data-parameter]");
  for (const [row, { sums, total }] of data.partial.entries()) {
    const cell = cells[row];
    const known = step === undefined ? total : sums[step === Infinity ? "start" : step];
    cell.textContent = known.text;
    cell.dataset.value = JSON.stringify(known.value);
  }
  find("sums").textContent = step === undefined ? "Gradients" : step === Infinity
    ? "Gradients, before any step" : `Gradients, summed over steps ${data.steps.at(-1)} … ${step}`;
}

let timer = null;
function stop() {
  clearInterval(timer);
  timer = null;
  find("play").textContent = "▶ play";
}
function play() {
  if (timer) return stop();
  if (Number(slider.value) === frames.length - 1) showFrame(0);
  find("play").textContent = "❚❚ pause";
  let waited = 0;
  timer = setInterval(() => {
    const isOver = Number(slider.value) === frames.length - 1;
    if (isOver && (waited += 1) < 3) return; // a film stays at its end for a while, and begins again
    waited = 0;
    showFrame(isOver ? 0 : Number(slider.value) + 1);
    if (Number(slider.value) === frames.length - 1 && !data.film) stop();
  }, 1000 * (data.film ?? 0.9));
}
function move(by) {
  stop();
  showFrame(Math.min(Math.max(Number(slider.value) + by, 0), frames.length - 1));
}
slider.addEventListener("input", () => { stop(); showFrame(Number(slider.value)); });
find("play").addEventListener("click", play);
find("back").addEventListener("click", () => move(-1));
find("next").addEventListener("click", () => move(1));

// --- following the paths from a step's loss to a parameter --------------------------------------------------------------------

function reachable(starts, neighbours) {
  const found = new Set(starts);
  const stack = [...starts];
  while (stack.length) for (const other of neighbours.get(stack.pop()) ?? []) if (!found.has(other)) { found.add(other); stack.push(other); }
  return found;
}
const into = new Map();
const outOf = new Map();
data.edges.forEach(([source, target], edge) => {
  if (!data.flows.includes(edge)) return;
  into.set(target, [...(into.get(target) ?? []), source]);
  outOf.set(source, [...(outOf.get(source) ?? []), target]);
});

function clearPaths() {
  all(".dim").forEach((element) => element.classList.remove("dim"));
  find("terms").replaceChildren();
  find("followed").textContent = "";
}

function followPaths() {
  clearPaths();
  const step = find("loss").value;
  const name = find("parameter").value;
  if (!step || !name) return;
  stop();
  all(".later, .now, .flows").forEach((element) => element.classList.remove("later", "now", "flows"));
  const leaf = data.parameters[name];
  const reaching = reachable(data.losses[step], into);
  const reached = reachable([leaf], outOf);
  const onPath = (vertex) => reaching.has(vertex) && reached.has(vertex);
  for (const element of all("[data-v], [data-e]")) {
    const edge = element.dataset.e;
    const lit = edge === undefined ? onPath(Number(element.dataset.v))
      : data.flows.includes(Number(edge)) && data.edges[edge].every(onPath);
    element.classList.toggle("dim", !lit);
  }
  const terms = data.terms[step]?.[name] ?? [];
  find("followed").textContent = `∂L${sub(step)}/∂${name}: ${terms.length} term${terms.length === 1 ? "" : "s"}`;
  for (const [k, norm] of terms) {
    const item = document.createElement("li");
    item.innerHTML = `<span class="formula"></span><br>norm ${norm}`;
    item.querySelector("span").textContent = formula(step, k, name);
    find("terms").append(item);
  }
}
function sub(number) {
  return String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}
function formula(t, k, name) {
  const state = data.states[name];
  if (!state || k === null) return `∂L${sub(t)}/∂${name}`;
  const between = Number(k) === Number(t) ? "" : ` · ∂${state}${sub(t)}/∂${state}${sub(k)}`;
  return `∂L${sub(t)}/∂${state}${sub(t)}${between} · ∂⁺${state}${sub(k)}/∂${name}`;
}
find("loss").addEventListener("change", followPaths);
find("parameter").addEventListener("change", followPaths);
find("clear").addEventListener("click", () => {
  find("loss").value = find("parameter").value = "";
  showFrame(Number(slider.value));
});

// --- the keyboard ---------------------------------------------------------------------------------------------------------

function neighbour(dx, dy) {
  const middle = (box) => { const r = box.querySelector("rect").getBBox(); return [r.x + r.width / 2, r.y + r.height / 2]; };
  if (chosen === null) return [...boxes.keys()][0];
  const [x, y] = middle(boxes.get(chosen));
  let best = chosen, least = Infinity;
  for (const [vertex, box] of boxes) {
    const [bx, by] = middle(box);
    const ahead = (bx - x) * dx + (by - y) * dy;
    const aside = Math.abs((bx - x) * dy) + Math.abs((by - y) * dx);
    if (vertex !== chosen && ahead > 1 && ahead + 3 * aside < least) { least = ahead + 3 * aside; best = vertex; }
  }
  return best;
}
function revealBox(box) {
  const { x, y, width, height } = box.querySelector("rect").getBBox();
  if (width > inside().width / view.scale) reveal(view.x, view.x, y, y + height);
  else reveal(x, x + width, y, y + height);
}
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", (event) => {
  if (ARROWS[event.key] && event.shiftKey) pan(ARROWS[event.key][0] * 0.1, ARROWS[event.key][1] * 0.1);
  else if (ARROWS[event.key]) { choose(neighbour(...ARROWS[event.key])); revealBox(boxes.get(chosen)); }
  else if (event.key === "Enter" && chosen !== null) boxes.get(chosen).dispatchEvent(new MouseEvent("click"));
  else if (event.key === "+" || event.key === "=") zoom(1 / 1.25);
  else if (event.key === "-") zoom(1.25);
  else if (event.key === "0") home();
  else if (event.key === " ") play();
  else if (event.key === ".") move(1);
  else if (event.key === ",") move(-1);
  else return;
  event.preventDefault();
});

setTheme(dark.matches ? "dark" : "light");
fold();
showFrame(0);
home();
if (data.film) {
  document.documentElement.classList.add("film");
  fit();
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) play();
}
if (data.followed) {
  [find("loss").value, find("parameter").value] = data.followed;
  followPaths();
}
