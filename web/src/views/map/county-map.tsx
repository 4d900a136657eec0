// The whole county as a picture that follows what happens, for other views: no list, no filter. `at` of the address is where it stands instead, `base` which
// base map it has. A click opens the map with what was clicked.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { countyFrame, subsystems } from "../../lib/county.ts";
import { go } from "../../lib/router.ts";
import { theme } from "../../lib/theme.ts";
import { BaseMap, chosenBase, useBasemaps } from "./base.tsx";
import { Canvas, hasWebgl2 } from "./canvas.ts";
import { mobileKinds, useLive } from "./live.ts";
import { MoverLayer } from "./movers.ts";
import { mapQuery } from "./query.ts";
import { t } from "./words.ts";
import "./map.css";

/** `onNone`: there is no WebGL 2. */
export default function CountyMap({ onNone }: { onNone: () => void }): JSX.Element {
  const query = mapQuery();
  const movers = useMemo(() => new MoverLayer(), []);
  const bases = useBasemaps();
  const box = useRef<HTMLDivElement>(null);
  const [canvas, setCanvas] = useState<Canvas | null>(null);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let made: Canvas;
    try {
      made = new Canvas(box.current!, movers, query.at, countyFrame.value, t("map"), {
        onView: () => undefined,
        onPick: (kind, key, lon, lat) => (key === null ? go("map", { list: kind, at: `${lon},${lat},17` }) : go(`map/${kind}/${key}`)),
        onLost: setLost,
      });
    } catch (error) {
      if (hasWebgl2()) throw error;
      onNone();
      return undefined;
    }
    // Its view's keys are not the map's.
    made.map.keyboard.disable();
    setCanvas(made);
    return () => made.close();
  }, []);
  useLive(canvas, movers, false, () => undefined);
  useEffect(() => canvas?.show({ off: [], mobile: mobileKinds(), moment: null }), [canvas, subsystems.value]);
  useEffect(() => canvas?.paint(), [canvas, theme.value, document.documentElement.dataset["theme"]]);
  return (
    <div class="map-pane">
      <div ref={box} class="map" data-testid="map" />
      {lost && (
        <p class="failed map-lost" role="alert">
          {t("lost")}
        </p>
      )}
      {canvas && <BaseMap canvas={canvas} base={chosenBase(query, bases)} />}
    </div>
  );
}
