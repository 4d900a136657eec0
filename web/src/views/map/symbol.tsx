import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { theme } from "../../lib/theme.ts";
import { drawSymbol, SMALL, type SymbolName } from "./symbols.ts";

/** A symbol of the map, in text and legends. What it means stands beside it in words. */
export function Symbol({ name, size = 16 }: { name: SymbolName; size?: number }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const draw = canvas.current?.getContext("2d", SMALL);
    if (!draw) return;
    draw.setTransform(2, 0, 0, 2, 0, 0);
    draw.clearRect(0, 0, size, size);
    drawSymbol(draw, name, size);
  }, [name, size, theme.value]);
  return <canvas ref={canvas} class="symbol" width={size * 2} height={size * 2} style={{ width: `${size}px`, height: `${size}px` }} aria-hidden="true" />;
}
