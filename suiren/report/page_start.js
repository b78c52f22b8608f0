// Everything starts here, the sections in the order they stand.

function readData(id) {
  const holder = document.getElementById(id);
  const data = JSON.parse(holder.textContent);
  holder.remove();
  return data;
}

startTheme();
const plotData = readData("plot-data");
const timelineHandle = startTimeline(readData("timeline-data"));
startRoofline(plotData.roofline);
startMemory(plotData.memory);
startTables(plotData.tables, (text) => {
  document.getElementById("spot").value = text;
  timelineHandle.spot(text);
  document.getElementById("timeline").scrollIntoView({ block: "nearest" });
});
document.documentElement.dataset.ready = "true";
