// Parts of a page that keep up with the world. An element with `data-live="<seconds>"` is fetched anew that often, with
// `data-events="<url>"` whenever that stream tells something, at most three times a second. One answer is on its way at
// a time, and nothing is kept of earlier ones: the tab does not grow, however fast a run is.
const LEAST_MS = 330;

export function watchLive(htmx) {
  for (const part of document.querySelectorAll("[data-live]")) follow(htmx, part.id);
}

function follow(htmx, id) {
  let last = 0, busy = false, wanted = false, stream = null, timer = 0;
  const part = () => document.getElementById(id);

  const renew = async () => {
    const now = part();
    if (!now?.dataset.live) return stop();
    if (document.hidden || now.querySelector("details.menu[open]") || now.contains(document.activeElement?.closest("input, select, textarea"))) return;
    if (busy || performance.now() - last < LEAST_MS) {
      if (!wanted) { wanted = true; setTimeout(() => { wanted = false; renew(); }, LEAST_MS); }
      return;
    }
    busy = true;
    try {
      await htmx.ajax("GET", location.href, { target: `#${id}`, select: `#${id}`, swap: "outerHTML" });
    } finally {
      busy = false;
      last = performance.now();
    }
    if (!part()?.dataset.live) stop();
  };
  const stop = () => { stream?.close(); clearInterval(timer); };

  const events = part().dataset.events;
  if (events && window.EventSource) {
    // EventSource goes on after the last event id by itself. Where there is no such stream it gives up, the clock stays.
    stream = new EventSource(events);
    stream.onmessage = renew;
    for (const kind of ["started", "stage", "planned", "progress", "held", "finished"]) stream.addEventListener(kind, renew);
  }
  timer = setInterval(renew, Number(part().dataset.live) * 1000);
  document.addEventListener("visibilitychange", renew);
}
