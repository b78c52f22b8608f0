import { EN } from "./words_en.js";
import { ZH } from "./words_zh.js";
import { NAMES_EN } from "./names_en.js";
import { NAMES_ZH } from "./names_zh.js";

// Every text of the page stands in two dictionaries; numbers and names from a run do not.

const LANGUAGES = { en: { ...EN, ...NAMES_EN }, zh: { ...ZH, ...NAMES_ZH } };

// The text of a key; `{name}` in it is replaced by values.name.
export function t(key, values = {}) {
  const text = (LANGUAGES[document.documentElement.lang] || LANGUAGES.en)[key];
  if (text === undefined) throw new Error(`no word for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A name that a run uses (an engine, a phase, an owner), in words where we have some.
export function named(name) {
  const key = `name.${name}`;
  return key in NAMES_EN ? t(key) : name;
}

export function startLanguage(redraw) {
  const button = document.getElementById("language");
  const label = () => {
    button.textContent = t("other_language");
    button.title = t("switch_language");
  };
  button.addEventListener("click", () => {
    const root = document.documentElement;
    root.lang = root.lang === "zh" ? "en" : "zh";
    keep("suiren-language", root.lang);
    label();
    redraw();
  });
  label();
}

export function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* storage is off */ }
}
