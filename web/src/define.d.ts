/** Where the map's worker is: vite.config.ts says. */
declare const MAPLIBRE_WORKER: string;
/** What of MapLibre the page itself runs. */
declare const MAPLIBRE_PARTS: string[];
