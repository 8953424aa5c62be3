"use strict";
// What all parts of the page use. Whatever came from a node or a file reaches the document as
// text alone: textContent and canvas text, never markup.

const byId = (id) => document.getElementById(id);
const dataOf = (id) => JSON.parse(byId(id).textContent);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Three digits, as the tables have them; more where a figure is large.
function figure(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "N/A";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) < 0.001 ? value.toExponential(2) : value.toPrecision(3);
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at++) value /= 1024;
  return `${Number(value.toPrecision(4))} ${units[at]}`;
}

// Screen readers hear what the eye sees under the cursor.
function say(words) {
  byId("said").textContent = words;
}

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
