// The base map under everything: which there are, which is chosen (in the address, else as this browser had it last), and what is to be said of it:
// whose it is, that nobody has checked it, that its source is away. Without one the map is a grid on an empty ground.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { recall, remember } from "../../lib/keep.ts";
import { setParameters } from "../../lib/router.ts";
import { language } from "../../lib/words.ts";
import type { Canvas } from "./canvas.ts";
import { BASE_NONE, type MapQuery } from "./query.ts";
import { t } from "./words.ts";

/** What GET /api/v1/basemaps answers. */
export interface Basemap {
  name: string;
  title_zh: string;
  title_en: string;
  attribution: string;
  min_zoom: number;
  max_zoom: number;
  /** Addresses of pictures, from the ground up; none if it is refused. */
  layers: string[];
  /** 0 = nobody has checked where it lies. */
  control_points: number;
  refused_zh: string;
  refused_en: string;
}

const chosenName = (query: MapQuery): string => query.base ?? recall("base") ?? BASE_NONE;
const titleOf = (one: Basemap): string => (language.value === "zh" ? one.title_zh : one.title_en);

export const useBasemaps = (): Basemap[] => useAsk<{ basemaps: Basemap[] }>("basemaps").data?.basemaps ?? [];

/** The one that is shown; null = none. */
export const chosenBase = (query: MapQuery, all: Basemap[]): Basemap | null => all.find((one) => one.name === chosenName(query) && one.layers.length > 0) ?? null;

export function BaseSwitch({ query, all }: { query: MapQuery; all: Basemap[] }): JSX.Element | null {
  if (all.length === 0) return null;
  const chosen = chosenBase(query, all)?.name ?? BASE_NONE;
  const choose = (name: string) => {
    remember("base", name);
    setParameters({ base: name });
  };
  const row = (name: string, words: string, remark: string, refused: string) => (
    <label key={name} title={refused}>
      <input type="radio" name="base" value={name} checked={chosen === name} disabled={refused !== ""} onChange={() => choose(name)} />
      {words}
      {remark !== "" && <span class="quiet">{remark}</span>}
    </label>
  );
  return (
    <fieldset class="layers" data-testid="base">
      <legend>{t("base")}</legend>
      {row(BASE_NONE, t("baseNone"), "", "")}
      {all.map((one) => {
        const refused = language.value === "zh" ? one.refused_zh : one.refused_en;
        return row(one.name, titleOf(one), refused !== "" ? t("baseRefused") : one.control_points === 0 ? t("baseUnchecked") : "", refused);
      })}
    </fieldset>
  );
}

/** Puts it on the map, and says below what is to be said. */
export function BaseMap({ canvas, base }: { canvas: Canvas; base: Basemap | null }): JSX.Element | null {
  const [away, setAway] = useState(false);
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    setAway(false);
    canvas.base(base, setAway);
  }, [canvas, base?.name]);
  // Where the mouse is, to be compared with control points: written past the component, for it changes with every step.
  useEffect(() => {
    if (base === null) return undefined;
    return canvas.pointer((lon, lat) => {
      if (place.current !== null) place.current.textContent = `${lon.toFixed(6)}, ${lat.toFixed(6)}`;
    });
  }, [canvas, base?.name]);
  if (base === null) return null;
  return (
    <div class="map-credit" data-testid="base-credit">
      {away && (
        <span class="warn" role="status" data-testid="base-away">
          {t("baseAway")}
        </span>
      )}
      {base.control_points === 0 && <span>{t("baseUncheckedLong")}</span>}
      <span ref={place} class="place" aria-hidden="true" />
      {base.attribution !== "" && <span>{base.attribution}</span>}
    </div>
  );
}
