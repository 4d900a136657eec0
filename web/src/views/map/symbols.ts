// The map's symbols, drawn here: a state has a shape and a colour, so that nobody depends on colours. Online a full disc, offline a hollow
// square; an alarm a triangle, the fuller and larger the worse; an open case a diamond.
import type { Map as GlMap } from "maplibre-gl";
import { colour } from "../../lib/theme.ts";

export const SYMBOLS = ["online", "offline", "info", "minor", "major", "critical", "case"] as const;
export type SymbolName = (typeof SYMBOLS)[number];

const RATIO = 2;
/** Small, and read: a graphics card would be waited for at each. */
const SMALL: CanvasRenderingContext2DSettings = { willReadFrequently: true };
const SIZE: Record<SymbolName, number> = { online: 12, offline: 12, info: 16, minor: 18, major: 20, critical: 24, case: 17 };

/** As SVG writes it, in a square of `size`: `path` is filled and has a line around it, `mark` is an exclamation mark in it. The map and lists draw the same. */
export function shape(name: SymbolName, size: number): { path: string; hollow: boolean; line: number; mark: string } {
  const middle = size / 2;
  const reach = middle - 2;
  const hollow = name === "offline" || name === "info";
  const mark = (from: number, high: number) => `M${size * 0.45} ${size * from}h${size * 0.1}v${size * high}h${size * -0.1}z`;
  const path =
    name === "online"
      ? `M${middle - reach} ${middle}a${reach} ${reach} 0 1 1 ${reach * 2} 0a${reach} ${reach} 0 1 1 ${reach * -2} 0z`
      : name === "offline"
        ? `M${middle - reach * 0.8} ${middle - reach * 0.8}h${reach * 1.6}v${reach * 1.6}h${reach * -1.6}z`
        : name === "case"
          ? `M${middle} ${middle - reach}l${reach} ${reach}l${-reach} ${reach}l${-reach} ${-reach}z`
          : `M${middle} ${middle - reach}l${reach} ${reach * 1.8}h${reach * -2}z`;
  return { path, hollow, line: hollow ? 2.2 : 1.4, mark: name === "major" || name === "critical" ? mark(0.38, 0.22) + mark(0.66, 0.1) : "" };
}

function image(name: SymbolName): ImageData {
  const size = SIZE[name];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size * RATIO;
  const draw = canvas.getContext("2d", SMALL)!;
  draw.scale(RATIO, RATIO);
  const { path, hollow, line, mark } = shape(name, size);
  const whole = new Path2D(path);
  draw.lineJoin = "round";
  draw.lineWidth = line;
  draw.fillStyle = hollow ? colour("panel") : colour(name);
  draw.strokeStyle = hollow ? colour(name) : colour("panel");
  draw.fill(whole);
  draw.stroke(whole);
  draw.fillStyle = colour("panel");
  draw.fill(new Path2D(mark));
  return draw.getImageData(0, 0, size * RATIO, size * RATIO);
}

/** In the theme's colours; again after the theme changed. */
export function addSymbols(map: GlMap): void {
  for (const name of SYMBOLS) {
    if (map.hasImage(name)) map.updateImage(name, image(name));
    else map.addImage(name, image(name), { pixelRatio: RATIO });
  }
}

/** rgb of 0 to 1 of a colour of the sheet, which are all written as #rrggbb. */
export function rgb(name: string): [number, number, number] {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16) / 255);
  return [red!, green!, blue!];
}
