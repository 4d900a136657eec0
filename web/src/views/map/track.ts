// Where the open device was in the last 24 hours: pieces, and stops; between pieces nothing is known and nothing is drawn.
import { useEffect } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import type { Canvas } from "./canvas.ts";
import type { MapQuery } from "./query.ts";

export interface Track {
  fixes: number;
  segments: [lon: number, lat: number, at: number][][];
  stops: { lon: number; lat: number; from: string; to: string; seconds: number }[];
}

export function useTrackOf(query: MapQuery): ReturnType<typeof useAsk<Track>> {
  const wanted = query.track && query.open?.kind === "device";
  return useAsk<Track>(wanted ? `devices/${query.open!.id}/track` : null, { zoom: 16 });
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
