// Elements and the box that follows the pointer. Text is only ever set as text.

const hoverBox = document.getElementById("hover");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// SVG's namespace is read off an element of the page.
function shape(svg, tag, attributes = {}, text = null) {
  const made = document.createElementNS(svg.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  svg.append(made);
  return made;
}

// A title and rows of [term, text].
function described(title, rows) {
  const list = element("dl");
  for (const [term, text] of rows) {
    if (text !== "") list.append(element("dt", {}, term), element("dd", {}, text));
  }
  return [element("b", {}, title), list];
}

function showHover(event, title, rows) {
  hoverBox.replaceChildren(...described(title, rows));
  hoverBox.hidden = false;
  const { width, height } = hoverBox.getBoundingClientRect();
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - width - 12 : event.clientX + 16;
  const top = Math.min(event.clientY + 16, innerHeight - height - 8);
  hoverBox.style.left = `${Math.max(8, left)}px`;
  hoverBox.style.top = `${Math.max(8, top)}px`;
}

function hideHover() {
  hoverBox.hidden = true;
}

// Makes one button of a group the pressed one.
function press(buttons, chosen, attribute = "aria-pressed") {
  for (const button of buttons) button.setAttribute(attribute, String(button === chosen));
}
