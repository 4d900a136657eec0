/** Where the map's worker is: vite.config.ts says. */
declare const MAPLIBRE_WORKER: string;
