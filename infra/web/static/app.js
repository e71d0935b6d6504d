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

// --- events: what was heard last, and a banner once that is too long ago -------------------------
const stream = document.getElementById("stream");
const stale = document.getElementById("stale");
if (stream && stale) {
  const limit = Number(stream.dataset.silence);
  let heard = performance.now(), at = new Date(Date.now() + ahead), isOver = false;
  document.body.addEventListener("htmx:sseMessage", event => {
    if (event.detail.type === "over") isOver = true;
    heard = performance.now();
    if (event.detail.type === "beat") {
      ahead = Date.parse(event.detail.data) - Date.now();
      at = new Date(Date.now() + ahead);
    }
  });
  // Only what this page shows and what differs is swapped: focus and selection stay elsewhere.
  document.body.addEventListener("htmx:sseBeforeMessage", event => {
    if (event.detail.type !== "rows") return;
    event.preventDefault();
    const box = document.createElement("template");
    box.innerHTML = event.detail.data;
    const parts = [...box.content.children]
      .map(node => node instanceof HTMLTemplateElement ? node.content.firstElementChild : node)
      .filter(node => {
        const shown = node && document.getElementById(node.id);
        return shown && shown.innerHTML !== node.innerHTML;
      });
    const text = parts.map(node => node.tagName === "TR" ? `<template>${node.outerHTML}</template>` : node.outerHTML);
    if (text.length) htmx.swap(stream, text.join(""), { swapStyle: "none" });
    tick();
  });
  const look = () => {
    const silent = performance.now() - heard;
    const isStale = isOver || silent > limit;
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
