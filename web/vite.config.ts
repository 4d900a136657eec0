// The build. What comes out is index.html and assets/: every name has the hash of its bytes in it, and what gets smaller by gzip
// lies beside it as NAME.gz, so that the hub compresses nothing while it serves.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

// Most functions of these files are called until the map is there. With this as its first line V8 compiles all of a file while it
// comes, beside the page's thread, not one function after the other on it; other browsers pass over it. Not for the part that
// MapLibre's two halves share, of which its worker calls little.
const COMPILE_WHOLE = "//# allFunctionsCalledOnLoad\n";

// MapLibre comes as three files that share one: its page's half, its worker's, and what both need. Bundled, each half would get a
// copy of its own (150 KB more). So they go out as they are, under their version.
function maplibre(): Plugin {
  const folder = new URL("./node_modules/maplibre-gl/", import.meta.url);
  const { version } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as { version: string };
  const parts = ["maplibre-gl", "maplibre-gl-shared", "maplibre-gl-worker"];
  const named = (part: string) => `${part}-${version}.mjs`;
  return {
    name: "maplibre",
    apply: "build",
    enforce: "pre",
    config: () => ({
      define: {
        MAPLIBRE_WORKER: JSON.stringify(`/assets/${named("maplibre-gl-worker")}`),
        MAPLIBRE_PARTS: JSON.stringify(parts.slice(0, 2).map((part) => `/assets/${named(part)}`)),
      },
    }),
    resolveId: (id) => (id === "maplibre-gl" ? { id: `/assets/${named("maplibre-gl")}`, external: "absolute" } : null),
    generateBundle() {
      for (const part of parts) {
        let source = readFileSync(new URL(`dist/${part}.mjs`, folder), "utf8").replace(/\n\/\/# sourceMappingURL=.*/, "");
        for (const other of parts) {
          source = source.replaceAll(`./${other}.mjs`, `./${named(other)}`);
        }
        if (part === "maplibre-gl") source = COMPILE_WHOLE + source;
        this.emitFile({ type: "asset", fileName: `assets/${named(part)}`, source });
      }
    },
  };
}

// What all views share comes with the page's frame, and the map as one file, not as a file for each part: a request costs a slow PC more than a kilobyte.
function chunk(id: string): string | undefined {
  if (/\/src\/(app|lib|part|main)|\/node_modules\/@?preact/.test(id)) return "index";
  return /\/views\/map\/(?!view\.ts)/.test(id) ? "map-view" : undefined;
}

function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    enforce: "post",
    augmentChunkHash: () => COMPILE_WHOLE,
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        for (const [fileName, part] of Object.entries(bundle)) {
          if (part.type === "chunk" && ["index", "map-view"].includes(part.name)) part.code = COMPILE_WHOLE + part.code;
          const bytes = Buffer.from(part.type === "chunk" ? part.code : part.source);
          const small = gzipSync(bytes, { level: 9 });
          if (small.length < bytes.length * 0.9) {
            this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source: small });
          }
        }
      },
    },
  };
}

const hub = process.env.CITYHUB_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [maplibre(), packed()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  define: { MAPLIBRE_WORKER: JSON.stringify("/node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"), MAPLIBRE_PARTS: "[]" },
  build: {
    target: "chrome109",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: { output: { manualChunks: chunk } },
  },
  // While writing: what the hub is asked comes from its own page, as far as it can tell.
  server: { proxy: { "/api": { target: hub, headers: { origin: hub } } } },
});
