// Elements. Text is only ever set as text, so nothing from a run becomes markup.

const SVG = "http://www.w3.org/2000/svg";

// h("div.card", { title }, "text", child …); a property that starts with "on" listens.
export function h(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag || "div");
  if (classes.length) made.className = classes.join(" ");
  fill(made, properties);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function s(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElementNS(SVG, tag);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  fill(made, properties);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function fill(made, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
}

// A group of buttons of which one is pressed: options are [value, label].
export function choice(label, options, chosen, act) {
  const group = h("div.choice", { role: "group", "aria-label": label });
  for (const [value, text] of options) {
    group.append(h("button", {
      type: "button", "data-value": value, "aria-pressed": String(value === chosen),
      onclick: () => {
        for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
        act(value);
      },
    }, text));
  }
  return group;
}

export function head(title, lead, ...tools) {
  return h("div.head", {}, h("div", {}, h("h1", {}, title), lead ? h("p.lead", {}, lead) : null), h("div.tools", {}, ...tools));
}

export function card(title, ...children) {
  return h("section.card", {}, title ? h("h2", {}, title) : null, ...children);
}

// Terms and texts; empty texts are left out.
export function factList(rows) {
  const list = h("dl.facts");
  for (const [term, text] of rows) if (text !== "" && text !== null && text !== undefined) list.append(h("dt", {}, term), h("dd", {}, text));
  return list;
}
