// Colours come from the style sheet; drawings ask here and are redrawn when the theme changes.

const redraws = [];
let colours = new Map();

function colour(name) {
  let value = colours.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(`--${name.replace(" ", "-")}`).trim();
    colours.set(name, value || (value = getComputedStyle(document.documentElement).getPropertyValue("--other").trim()));
  }
  return value;
}

function onRedraw(draw) {
  redraws.push(draw);
  draw();
}

function redrawAll() {
  colours = new Map();
  for (const draw of redraws) draw();
}

function startTheme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const set = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    redrawAll();
  };
  button.addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("suiren-theme", theme); } catch { /* storage is off */ }
    set(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    let kept = null;
    try { kept = localStorage.getItem("suiren-theme"); } catch { /* storage is off */ }
    if (!kept) set(event.matches ? "dark" : "light");
  });
  button.textContent = root.dataset.theme === "dark" ? "Light" : "Dark";
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    requestAnimationFrame(redrawAll);
  });
}
