// Elements made from plain values. Text always becomes a text node, never markup.

export const by = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(node, attributes, children) {
  set(node, attributes);
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) node.removeAttribute(key);
    else node.setAttribute(key, value === true ? '' : value);
  }
}

// Only what differs is written: a screen reader hears nothing twice, and nothing is laid out anew.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Outside of the layout that told of it, so that what is drawn then may change sizes.
export function onWidthChange(element, then) {
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    requestAnimationFrame(then);
  }).observe(element);
}

export function onThemeChange(then) {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', then);
}
