// gate.mjs: fails if what a browser must load before the map is there (page, styles, MapLibre with its worker) has become too
// large, gzipped, or is not compiled at once. Run behind every build.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";

const LIMIT_KB = { js: 420, css: 15 };
const dist = new URL("./dist/", import.meta.url);
const size = (name) => statSync(new URL(existsSync(new URL(`${name}.gz`, dist)) ? `${name}.gz` : name, dist)).size;
const text = (name) => readFileSync(new URL(name, dist), "utf8");
const names = readdirSync(new URL("assets/", dist)).filter((name) => !name.endsWith(".gz"));

// What index.html names, and what the map's chunk is, with all that they import without being asked.
const wanted = [...text("index.html").matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((match) => match[1]);
wanted.push(...names.filter((name) => /^(map-view-.*\.(js|css)|maplibre-gl-.*\.mjs)$/.test(name)).map((name) => `assets/${name}`));
const seen = new Set();
while (wanted.length > 0) {
  const name = wanted.pop();
  if (seen.has(name)) continue;
  seen.add(name);
  if (name.endsWith(".js")) {
    for (const match of text(name).matchAll(/(?:import|from)\s*["'](?:\.\/|\/assets\/)([^"']+)["']/g)) wanted.push(`assets/${match[1]}`);
  }
}
const sums = { js: 0, css: 0 };
for (const name of seen) {
  const kind = name.endsWith(".css") ? "css" : /\.m?js$/.test(name) ? "js" : null;
  if (kind !== null) sums[kind] += size(name);
}
let failed = false;
for (const [kind, bytes] of Object.entries(sums)) {
  const over = bytes === 0 || bytes > LIMIT_KB[kind] * 1024;
  failed ||= over;
  console.log(`first view: ${(bytes / 1024).toFixed(1)} KB ${kind} gzipped (limit ${LIMIT_KB[kind]})${over ? ": not within it" : ""}`);
}
// What vite.config.ts says of COMPILE_WHOLE holds of a file's first line alone.
const whole = [...seen].filter((name) => /\/(index|map-view)-[^/]*\.js$|\/maplibre-gl-\d[^/]*\.mjs$/.test(name));
for (const name of whole.filter((one) => !text(one).startsWith("//# allFunctionsCalledOnLoad\n"))) {
  failed = true;
  console.log(`first view: ${name} does not begin with "//# allFunctionsCalledOnLoad": its functions would be compiled one by one`);
}
if (whole.length !== 3) {
  failed = true;
  console.log(`first view: index, map-view and maplibre-gl are wanted, there are ${whole.join(", ") || "none of them"}`);
}
process.exit(failed ? 1 : 0);
