import type { Box } from "./canvas.ts";

/** The frame of some geometries; null if they have no points. */
export function boundsOf(geometries: (GeoJSON.Geometry | null)[]): Box | null {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  const take = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    const [lon, lat] = part as unknown[];
    if (typeof lon === "number" && typeof lat === "number") {
      box[0] = Math.min(box[0], lon);
      box[1] = Math.min(box[1], lat);
      box[2] = Math.max(box[2], lon);
      box[3] = Math.max(box[3], lat);
    } else part.forEach(take);
  };
  for (const geometry of geometries) if (geometry !== null && "coordinates" in geometry) take(geometry.coordinates);
  return box[0] === Infinity ? null : box;
}
