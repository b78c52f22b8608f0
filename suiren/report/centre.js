// The theme follows the system until the button says otherwise; nothing else moves on this page.

const root = document.documentElement;
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function show(theme) {
  root.dataset.theme = theme;
  button.textContent = theme === "dark" ? button.dataset.light : button.dataset.dark;
  button.setAttribute("aria-pressed", String(theme === "dark"));
}

show(dark.matches ? "dark" : "light");
button.addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));
dark.addEventListener("change", (event) => show(event.matches ? "dark" : "light"));
