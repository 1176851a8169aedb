// Relative times that stay true, with the local instant beside UTC on hover.
const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

export function ago(seconds) {
  const future = seconds < 0;
  const passed = Math.abs(seconds);
  if (passed < 5) return "now";
  const [, unit, word] = STEPS.find(([limit]) => passed < limit);
  const told = `${Math.floor(passed / unit)} ${word}`;
  return future ? `in ${told}` : `${told} ago`;
}

export function watchTimes() {
  const tell = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const instant = new Date(time.dateTime);
      const told = ago((Date.now() - instant) / 1000);
      if (time.textContent !== told) time.textContent = told;
      if (!time.dataset.local) {
        time.dataset.local = "1";
        time.title = `${time.title}\n${instant.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })}`;
      }
    }
  };
  tell();
  setInterval(() => { if (!document.hidden) tell(); }, 5000);
  document.addEventListener("htmx:afterSwap", tell);
}
