// Where the open device was in the 24 hours up to now, or to the moment that is shown: pieces, and stops; between pieces nothing is known and nothing is drawn.
import { useEffect } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import type { Canvas } from "./canvas.ts";
import type { MapQuery } from "./query.ts";

const DAY_MS = 86_400_000;

export interface Track {
  fixes: number;
  segments: [lon: number, lat: number, at: number][][];
  stops: { lon: number; lat: number; from: string; to: string; seconds: number }[];
}

export function useTrackOf(query: MapQuery): ReturnType<typeof useAsk<Track>> {
  const wanted = query.track && query.open?.kind === "device";
  const day = query.moment === null ? {} : { from: new Date(Date.parse(query.moment) - DAY_MS).toISOString(), to: query.moment };
  return useAsk<Track>(wanted ? `devices/${query.open!.id}/track` : null, { zoom: 16, ...day });
}

export function useTrack(canvas: Canvas | null, query: MapQuery): void {
  const { data } = useTrackOf(query);
  useEffect(() => {
    if (data === undefined) {
      canvas?.track(null);
      return;
    }
    const lines = data.segments.filter((segment) => segment.length > 1).map((segment): GeoJSON.Feature => ({
      type: "Feature",
      geometry: { type: "LineString", coordinates: segment.map(([lon, lat]) => [lon, lat]) },
      properties: {},
    }));
    const stops = data.stops.map((stop): GeoJSON.Feature => ({ type: "Feature", geometry: { type: "Point", coordinates: [stop.lon, stop.lat] }, properties: {} }));
    canvas?.track({ type: "FeatureCollection", features: [...lines, ...stops] });
  }, [canvas, data]);
}
