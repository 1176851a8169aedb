// Builds what src/headrace/web/static holds from the sources in this folder. `make assets` runs it, then manifest.py.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../static";
mkdirSync(`${out}/fonts`, { recursive: true });

// `theme` runs before the first paint, so it is small and no module. The others are modules, each whole in itself.
await build({
  entryPoints: ["src/app.js", "src/charts.js", "src/sql.js"],
  bundle: true, minify: true, format: "esm", target: "es2022", outdir: out, legalComments: "none",
});
await build({
  entryPoints: ["src/theme.js"], bundle: true, minify: true, format: "iife", target: "es2022", outdir: out,
});

execFileSync("node_modules/.bin/tailwindcss", ["--input", "src/app.css", "--output", `${out}/app.css`, "--minify"], { stdio: "inherit" });

for (const part of ["latin", "latin-ext"]) {
  copyFileSync(`node_modules/@fontsource-variable/inter/files/inter-${part}-wght-normal.woff2`, `${out}/fonts/inter-${part}.woff2`);
}

// Pages draw icons inline, so only the paths inside each <svg> are kept.
const icons = {};
for (const name of readFileSync("src/icons.txt", "utf8").split(/\s+/).filter(Boolean)) {
  const svg = readFileSync(`node_modules/lucide-static/icons/${name}.svg`, "utf8");
  icons[name] = svg.replace(/^[\s\S]*?<svg[\s\S]*?>/, "").replace(/<\/svg>[\s\S]*$/, "").replace(/\s+/g, " ").trim();
}
writeFileSync(`${out}/icons.json`, JSON.stringify(icons, null, 1) + "\n");
copyFileSync("node_modules/axe-core/axe.min.js", "../../../../tests/browser/axe.min.js");
