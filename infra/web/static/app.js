"use strict";

// --- light and dark ---------------------------------------------------------------------------
const root = document.documentElement;
const isDark = () => root.dataset.theme
  ? root.dataset.theme === "dark"
  : matchMedia("(prefers-color-scheme: dark)").matches;
const themeButton = document.getElementById("theme");
const nameTheme = () => {
  if (themeButton) themeButton.textContent = isDark() ? "Light" : "Dark";
};
themeButton?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("plimsoll-theme", root.dataset.theme); } catch { /* not kept */ }
  nameTheme();
  drawCharts();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameTheme(); drawCharts(); });
nameTheme();

// --- clocks: ages and times left go on between two events ----------------------------------------
let ahead = 0; // The server's clock less this one's. [ms]
const spanOf = seconds => {
  let left = Math.max(0, Math.floor(seconds));
  const days = Math.floor(left / 86400); left -= days * 86400;
  const hours = Math.floor(left / 3600); left -= hours * 3600;
  const minutes = Math.floor(left / 60); left -= minutes * 60;
  const two = number => String(number).padStart(2, "0");
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${two(minutes)} min`;
  return minutes ? `${minutes} min ${two(left)} s` : `${left} s`;
};
const tick = () => {
  const now = Date.now() + ahead;
  for (const node of document.querySelectorAll("time[data-clock]")) {
    const seconds = (now - Date.parse(node.dateTime)) / 1000;
    const text = node.dataset.clock === "due"
      ? (seconds >= 0 ? `${spanOf(seconds)} late` : `in ${spanOf(-seconds)}`)
      : spanOf(seconds);
    if (node.textContent !== text) node.textContent = text;
  }
  const clock = document.getElementById("clock");
  if (clock) clock.textContent = `${new Date(now).toISOString().slice(11, 19)} UTC`;
};
const served = Date.parse(document.body.dataset.now ?? "");
if (served) ahead = served - Date.now();
setInterval(tick, 1000);
tick();

// --- parts of the page that change: only what differs is touched, and nothing that is in use ------
// What ages by itself is no difference.
const still = node => node.innerHTML.replace(/<time [^>]*data-clock[^>]*>[^<]*/g, "<time>");
const bare = node => node.innerHTML.replace(/(<time [^>]*data-clock[^>]*>)[^<]*/g, "$1");
const isUsed = node => {
  const at = document.activeElement;
  if (at && node.contains(at) && at.matches("input, select, textarea")) return true;
  return Array.from(node.querySelectorAll("input:not([type=hidden]), textarea"))
    .some(field => field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
};
const waiting = new Map(); // Parts that come when nobody types in them any more.
const light = node => {
  node.classList.remove("fresh");
  void node.offsetWidth;
  node.classList.add("fresh");
};
const putRow = (old, row, isNews) => {
  if (old.children.length !== row.children.length) { old.replaceWith(row); return; }
  for (const [i, cell] of Array.from(row.children).entries()) {
    const shown = old.children[i];
    if (bare(shown) === bare(cell)) continue;
    // The cell stays: what is focused or selected beside it does not move.
    const isChanged = still(shown) !== still(cell);
    shown.className = cell.className;
    shown.replaceChildren(...cell.childNodes);
    if (isNews && isChanged) light(shown);
  }
};
const put = (part, isNews) => {
  const old = document.getElementById(part.id);
  if (!old) return;
  if (old.tagName === "TR") { putRow(old, part, isNews); return; }
  if (bare(old) === bare(part) && old.hidden === part.hidden && old.className === part.className) {
    waiting.delete(part.id);
    return;
  }
  if (isUsed(old)) { waiting.set(part.id, part); return; }
  waiting.delete(part.id);
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(part);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

// --- rows of the table: in the server's order, unless somebody is in the table --------------------
let arrived = new Map(); // Rows that the page does not show yet.
let order = null;        // The order that is to be shown.
const listing = () => document.querySelector("form.listing");
const isHeld = body => body.matches(":hover") || body.contains(document.activeElement);
const arrange = () => {
  const form = listing();
  const body = form && document.getElementById(`${form.id}-rows`);
  if (!body || !order) return;
  const shown = Array.from(body.rows, row => row.id);
  const isSame = shown.length === order.length && shown.every((id, i) => id === order[i]);
  const note = document.getElementById(`${form.id}-held`);
  const isWaiting = !isSame && isHeld(body) && shown.some(id => id);
  const words = isWaiting ? "Other rows or another order wait until you leave the table." : "";
  if (note && note.textContent !== words) note.textContent = words;
  if (isSame || isWaiting) return;
  const rows = order.map(id => document.getElementById(id) ?? arrived.get(id)).filter(Boolean);
  const kept = new Set(rows);
  for (const row of Array.from(body.rows)) if (!kept.has(row)) row.remove();
  rows.forEach((row, i) => { if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null); });
  if (!rows.length) {
    const cell = body.insertRow().insertCell();
    cell.className = "empty";
    cell.colSpan = Number(body.dataset.columns);
    cell.textContent = body.dataset.empty;
  }
  arrived = new Map();
  tick();
};

// --- events: what was heard last, and a banner once that is too long ago -------------------------
const stream = document.getElementById("stream");
const stale = document.getElementById("stale");
if (stream && stale) {
  const limit = Number(stream.dataset.silence);
  let heard = performance.now(), at = new Date(Date.now() + ahead), isOver = false;
  let source = null, asked = null, isBegun = false, tried = 0;
  const hear = () => { heard = performance.now(); };
  const take = event => {
    hear();
    const box = document.createElement("template");
    box.innerHTML = event.data;
    // Rows come in a shell of their own: a browser drops those that stand in no table.
    const parts = Array.from(box.content.children, node => node instanceof HTMLTemplateElement ? node.content.firstElementChild : node);
    for (const part of parts) {
      if (document.getElementById(part.id)) put(part, isBegun);
      else if (part.tagName === "TR") arrived.set(part.id, part);
    }
    // What a page begins with is no news: nothing lights up.
    isBegun = true;
    tick();
  };
  const connect = () => {
    source?.close();
    tried = performance.now();
    asked = listing()?.dataset.asked ?? "";
    order = null;
    arrived = new Map();
    isBegun = false;
    const about = new URLSearchParams({ page: stream.dataset.page, subject: stream.dataset.subject, asked });
    source = new EventSource(`/events?${about}`);
    source.addEventListener("rows", take);
    source.addEventListener("order", event => { hear(); order = JSON.parse(event.data); arrange(); });
    source.addEventListener("over", () => { isOver = true; source.close(); });
    source.addEventListener("beat", event => {
      hear();
      ahead = Date.parse(event.data) - Date.now();
      at = new Date(Date.now() + ahead);
      arrange();
      for (const part of Array.from(waiting.values())) put(part, true);
    });
  };
  // Another order, page or search of the table is another stream.
  document.body.addEventListener("htmx:afterSettle", () => {
    if (!isOver && (listing()?.dataset.asked ?? "") !== asked) connect();
  });
  document.body.addEventListener("htmx:historyRestore", () => { if (!isOver) connect(); });
  const look = () => {
    const silent = performance.now() - heard;
    const isStale = isOver || silent > limit;
    // A browser gives up on an answer that is no stream, such as one of a server that restarts.
    if (!isOver && source.readyState === EventSource.CLOSED && performance.now() - tried > limit) connect();
    if (isStale) {
      const words = isOver
        ? "Your session has ended. Log in again to see what is."
        : `No word from the server for ${spanOf(silent / 1000)}. What you see is of ${at.toISOString().slice(11, 19)} UTC and no longer moves.`;
      const text = stale.querySelector("span");
      if (text.textContent !== words) text.textContent = words;
    }
    if (stale.hidden === isStale) stale.hidden = !isStale;
    document.body.classList.toggle("is-stale", isStale);
  };
  connect();
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", event => { if (event.persisted && !isOver) connect(); });
  setInterval(look, 500);
}

// --- charts ---------------------------------------------------------------------------------------
let charts = [];
function drawCharts() {
  for (const chart of charts) chart.destroy();
  charts = [];
  if (typeof uPlot === "undefined") return;
  const style = getComputedStyle(root);
  const colour = name => style.getPropertyValue(name).trim();
  for (const box of document.querySelectorAll("[data-chart]")) {
    const data = JSON.parse(box.dataset.chart);
    const strokes = [colour("--act"), colour("--accent"), colour("--good")];
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--hair"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const short = value => Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
    charts.push(new uPlot({
      width: box.clientWidth, height: 220, legend: { live: true }, cursor: { y: false },
      scales: { x: { time: true } },
      tzDate: ts => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map(short), label: data.unit, labelSize: 18 }],
      series: [{ value: "{YYYY}-{MM}-{DD}" }, ...data.series.map((one, i) => ({
        label: one.label, stroke: strokes[i % strokes.length], width: 1.6, dash: i ? [] : [6, 3], points: { size: 5 },
        value: (_, value) => value === null ? "—" : Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format(value),
      }))],
    }, [data.x, ...data.series.map(one => one.values)], box));
  }
}
drawCharts();
let resizing = 0;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(drawCharts, 150); });
