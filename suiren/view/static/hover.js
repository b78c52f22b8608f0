import { h, factList } from "./dom.js";

// The box that follows the pointer.

const hoverBox = document.getElementById("hover");

export function showHover(event, title, rows) {
  hoverBox.replaceChildren(h("b", {}, title), factList(rows));
  hoverBox.hidden = false;
  const { width, height } = hoverBox.getBoundingClientRect();
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - width - 12 : event.clientX + 16;
  const top = Math.min(event.clientY + 16, innerHeight - height - 8);
  hoverBox.style.left = `${Math.max(8, left)}px`;
  hoverBox.style.top = `${Math.max(8, top)}px`;
}

export function hideHover() {
  hoverBox.hidden = true;
}

// Shows a box while the pointer is over an element.
export function hovers(element, title, rows) {
  element.addEventListener("pointermove", (event) => showHover(event, title, rows));
  element.addEventListener("pointerleave", hideHover);
  return element;
}
