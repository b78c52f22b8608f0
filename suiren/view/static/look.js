import { t, keep } from "./words.js";

// Colours come from the style sheet; a canvas asks here.

let colours = new Map();

export function colour(name) {
  let value = colours.get(name);
  if (value === undefined) {
    const styles = getComputedStyle(document.documentElement);
    value = styles.getPropertyValue(`--${name.replaceAll(" ", "-")}`).trim() || styles.getPropertyValue("--other").trim();
    colours.set(name, value);
  }
  return value;
}

// As a value for a style: names with spaces are owners (`optimizer state`).
export function paint(name) {
  return `var(--${String(name).replaceAll(" ", "-")}, var(--other))`;
}

export function startTheme(redraw) {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const set = (theme) => {
    root.dataset.theme = theme;
    colours = new Map();
    redraw();
  };
  button.addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    keep("suiren-theme", theme);
    set(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    let kept = null;
    try { kept = localStorage.getItem("suiren-theme"); } catch { /* storage is off */ }
    if (!kept) set(event.matches ? "dark" : "light");
  });
}

export function labelTheme() {
  const isDark = document.documentElement.dataset.theme === "dark";
  const button = document.getElementById("theme");
  button.textContent = isDark ? t("light") : t("dark");
  button.title = t("switch_theme");
}
