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
const setTheme = (name) => (document.documentElement.dataset.theme = name);
setTheme(dark.matches ? "dark" : "light");
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

function isInside(x) {
  return data.columns.some(([step, left, right]) => folded.has(step) && x > left && x < right);
}

function fold() {
  for (const [element, place] of places) {
    if (place.d !== undefined) {
      element.setAttribute("d", place.d.replace(/(-?[\d.]+) (-?[\d.]+)/g, (_, x, y) => `${warp(+x).toFixed(1)} ${y}`));
    } else if (place.width !== undefined) {
      element.setAttribute("x", warp(place.x));
      element.setAttribute("width", Math.max(warp(place.x + place.width) - warp(place.x), 1));
    } else if (place.cx !== undefined) {
      element.setAttribute("cx", warp(place.cx));
    } else {
      element.setAttribute("x", warp(place.x));
      if (!element.classList.contains("heading")) element.classList.toggle("folded", isInside(place.x));
    }
  }
  for (const heading of all("text.heading[data-t]")) {
    const step = Number(heading.dataset.t);
    heading.textContent = folded.has(step) ? step : `t = ${step}`;
    heading.setAttribute("aria-expanded", String(!folded.has(step)));
  }
  drawn = warp(size.width);
}

function toggleFold(step) {
  if (!folded.delete(step)) folded.add(step);
  fold();
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
find("unfold").addEventListener("click", () => { folded.clear(); fold(); fit(); });
find("fold").addEventListener("click", () => { data.middle.forEach((step) => folded.add(step)); fold(); fit(); });

// --- zoom and pan -----------------------------------------------------------------------------------------------------

let drawn = size.width;
let view = { x: 0, y: 0, width: size.width, height: size.height };

function show() {
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
}
function fit() {
  view = { x: 0, y: 0, width: drawn, height: size.height };
  show();
}
function zoom(factor, at = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
  view.x = at.x - (at.x - view.x) * factor;
  view.y = at.y - (at.y - view.y) * factor;
  view.width *= factor;
  view.height *= factor;
  show();
}
function pan(dx, dy) {
  view.x += dx * view.width;
  view.y += dy * view.height;
  show();
}
function pointerPlace(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return { x: point.x, y: point.y };
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, pointerPlace(event));
}, { passive: false });
let grabbed = null;
stage.addEventListener("pointerdown", (event) => (grabbed = pointerPlace(event)));
stage.addEventListener("pointermove", (event) => {
  if (!grabbed || !event.buttons) return;
  const now = pointerPlace(event);
  view.x += grabbed.x - now.x;
  view.y += grabbed.y - now.y;
  stage.classList.add("dragging");
  show();
});
window.addEventListener("pointerup", () => { grabbed = null; stage.classList.remove("dragging"); });
find("in").addEventListener("click", () => zoom(1 / 1.25));
find("out").addEventListener("click", () => zoom(1.25));
find("fit").addEventListener("click", fit);

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
    const reached = frame.backward !== undefined && (step === null ? isBand(element) : step >= frame.backward);
    element.classList.toggle("flows", flows && reached);
  }
  showPartialSums(frame.backward);
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
  timer = setInterval(() => {
    const next = Number(slider.value) + 1;
    showFrame(next);
    if (next === frames.length - 1) stop();
  }, 900);
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
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", (event) => {
  if (ARROWS[event.key] && event.shiftKey) pan(ARROWS[event.key][0] * 0.1, ARROWS[event.key][1] * 0.1);
  else if (ARROWS[event.key]) choose(neighbour(...ARROWS[event.key]));
  else if (event.key === "Enter" && chosen !== null) boxes.get(chosen).dispatchEvent(new MouseEvent("click"));
  else if (event.key === "+" || event.key === "=") zoom(1 / 1.25);
  else if (event.key === "-") zoom(1.25);
  else if (event.key === "0") fit();
  else if (event.key === " ") play();
  else if (event.key === ".") move(1);
  else if (event.key === ",") move(-1);
  else return;
  event.preventDefault();
});

fold();
fit();
showFrame(0);
if (data.followed) {
  [find("loss").value, find("parameter").value] = data.followed;
  followPaths();
}
