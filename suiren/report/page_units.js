// Numbers with units, as suiren.units shows them in the rest of the page.

function digits(value, count) {
  return String(Number(value.toPrecision(count)));
}

function showBytes(count) {
  const sizes = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
  for (const [size, unit] of sizes) {
    if (Math.abs(count) >= size) return `${(count / size).toFixed(2)} ${unit}`;
  }
  return `${count.toFixed(0)} B`;
}

function showTime(seconds) {
  if (Math.abs(seconds) >= 1000) return `${seconds.toFixed(0)} s`;
  for (const [size, unit] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]) {
    if (Math.abs(seconds) >= size) return `${digits(seconds / size, 3)} ${unit}`;
  }
  return `${digits(seconds * 1e9, 3)} ns`;
}

function showRate(value, unit) {
  const sizes = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, prefix] of sizes) {
    if (Math.abs(value) >= size) return `${digits(value / size, 4)} ${prefix}${unit}`;
  }
  return `${digits(value, 4)} ${unit}`;
}

function showPercent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// A round step (1, 2 or 5 times a power of ten) that divides `range` into about `count` parts.
function roundStep(range, count) {
  const rough = range / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough * 0.999);
  return factor * power;
}

// A tick of a time axis: the unit follows the axis' step, so that neighbours share it.
function showTick(seconds, step) {
  const [size, unit] = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]].find(
    ([s]) => step >= s * 0.0999,
  ) || [1e-9, "ns"];
  const decimals = Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9));
  return `${(seconds / size).toFixed(Math.min(6, decimals))} ${unit}`;
}
