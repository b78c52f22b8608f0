// What the page shows: from inside the file if it is there, else from the server.

const known = new Map();

export async function fetched(path) {
  if (!known.has(path)) {
    known.set(path, load(path).catch((problem) => { known.delete(path); throw problem; }));
  }
  return known.get(path);
}

export function isFile() {
  return document.querySelector("script[data-path]") !== null;
}

async function load(path) {
  const holder = document.querySelector(`script[data-path="${CSS.escape(path)}"]`);
  if (holder) return JSON.parse(await unpacked(holder.textContent));
  if (isFile()) throw new Error(path);
  const answer = await fetch(`api/${path.split("/").map(encodeURIComponent).join("/")}`);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
