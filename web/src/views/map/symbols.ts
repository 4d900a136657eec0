// The map's symbols, drawn here: a state has a shape and a colour, so that nobody depends on colours. Online a full disc, offline a hollow
// square; an alarm a triangle, the fuller and larger the worse; an open case a diamond.
import type { Map as GlMap } from "maplibre-gl";
import { colour } from "../../lib/theme.ts";

export const SYMBOLS = ["online", "offline", "info", "minor", "major", "critical", "case"] as const;
export type SymbolName = (typeof SYMBOLS)[number];

const RATIO = 2;
/** Small, many, and read: a graphics card would be waited for at each. */
export const SMALL: CanvasRenderingContext2DSettings = { willReadFrequently: true };
const SIZE: Record<SymbolName, number> = { online: 12, offline: 12, info: 16, minor: 18, major: 20, critical: 24, case: 17 };

function path(draw: CanvasRenderingContext2D, name: SymbolName, size: number): void {
  const middle = size / 2;
  const reach = middle - 2;
  draw.beginPath();
  if (name === "online") draw.arc(middle, middle, reach, 0, Math.PI * 2);
  else if (name === "offline") draw.rect(middle - reach * 0.8, middle - reach * 0.8, reach * 1.6, reach * 1.6);
  else if (name === "case") {
    draw.moveTo(middle, middle - reach);
    draw.lineTo(middle + reach, middle);
    draw.lineTo(middle, middle + reach);
    draw.lineTo(middle - reach, middle);
  } else {
    draw.moveTo(middle, middle - reach);
    draw.lineTo(middle + reach, middle + reach * 0.8);
    draw.lineTo(middle - reach, middle + reach * 0.8);
  }
  draw.closePath();
}

/** Draws it into a canvas of so many CSS pixels: for the map and for legends. */
export function drawSymbol(draw: CanvasRenderingContext2D, name: SymbolName, size: number): void {
  path(draw, name, size);
  const hollow = name === "offline" || name === "info";
  draw.lineJoin = "round";
  draw.fillStyle = hollow ? colour("panel") : colour(name);
  draw.strokeStyle = hollow ? colour(name) : colour("panel");
  draw.lineWidth = hollow ? 2.2 : 1.4;
  draw.fill();
  draw.stroke();
  if (name === "major" || name === "critical") {
    draw.fillStyle = colour("panel");
    draw.fillRect(size / 2 - size * 0.05, size * 0.38, size * 0.1, size * 0.22);
    draw.fillRect(size / 2 - size * 0.05, size * 0.66, size * 0.1, size * 0.1);
  }
}

function image(name: SymbolName): ImageData {
  const size = SIZE[name];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size * RATIO;
  const draw = canvas.getContext("2d", SMALL)!;
  draw.scale(RATIO, RATIO);
  drawSymbol(draw, name, size);
  return draw.getImageData(0, 0, size * RATIO, size * RATIO);
}

/** In the theme's colours; again after the theme changed. */
export function addSymbols(map: GlMap): void {
  for (const name of SYMBOLS) {
    if (map.hasImage(name)) map.updateImage(name, image(name));
    else map.addImage(name, image(name), { pixelRatio: RATIO });
  }
}

/** rgb of 0 to 1 of a colour of the sheet. */
export function rgb(name: string): [number, number, number] {
  const draw = document.createElement("canvas").getContext("2d", SMALL)!;
  draw.fillStyle = colour(name);
  draw.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = draw.getImageData(0, 0, 1, 1).data;
  return [red / 255, green / 255, blue / 255];
}
