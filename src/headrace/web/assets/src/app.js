// All that script adds to pages which work without it: filters that answer while one types, keys, copying, exact local
// times, pages that keep up with what happens.
import htmx from "htmx.org/dist/htmx.esm.js";
import { watchKeys } from "./keys.js";
import { watchTimes } from "./times.js";
import { watchLive } from "./live.js";
import { watchParts } from "./parts.js";

window.htmx = htmx;
watchKeys();
watchParts();
watchTimes();
watchLive(htmx);
