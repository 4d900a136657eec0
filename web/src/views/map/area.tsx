// Drawing an area: corners by clicks, or by keys, where the cross in the middle is. What is inside stands beside it as counts that open their lists.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "../../lib/format.ts";
import { setParameters } from "../../lib/router.ts";
import type { Canvas } from "./canvas.ts";
import { areaText, CORNERS_MAX, LISTS, type ListKind, type MapQuery } from "./query.ts";
import { t } from "./words.ts";

interface Properties {
  query: MapQuery;
  canvas: Canvas;
  found: Record<ListKind, { rows: unknown[] | null; there: boolean; whole: boolean }>;
}

const WORDS = { device: "devices", alarm: "alarms", case: "cases" } as const;

export function Area({ query, canvas, found }: Properties): JSX.Element {
  const [corners, show] = useState<[number, number][] | null>(null);
  // Whoever clicks and presses Enter is faster than the next picture.
  const latest = useRef(corners);
  const setCorners = (next: [number, number][] | null) => {
    latest.current = next;
    show(next);
  };
  const drawing = corners !== null;
  const enough = (corners?.length ?? 0) >= 3;
  const add = (lon: number, lat: number) => latest.current !== null && latest.current.length < CORNERS_MAX && setCorners([...latest.current, [lon, lat]]);
  const back = () => latest.current !== null && setCorners(latest.current.slice(0, -1));
  const finish = () => {
    if (latest.current === null || latest.current.length < 3) return;
    setParameters({ area: areaText(latest.current), inview: null });
    setCorners(null);
  };
  // With the words that ask for clicks, not behind them.
  useLayoutEffect(() => {
    canvas.draw(drawing ? (lon, lat) => void add(lon, lat) : null);
    return () => canvas.draw(null);
  }, [canvas, drawing]);
  const said = query.area === null ? "" : areaText(query.area);
  useEffect(() => canvas.area(corners ?? query.area ?? [], corners === null), [canvas, corners, said]);
  useEffect(() => {
    if (!drawing) return undefined;
    const onKey = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement || event.target instanceof HTMLSelectElement) return;
      const { lng, lat } = canvas.map.getCenter();
      const keys: Record<string, () => void> = { " ": () => void add(lng, lat), Enter: finish, Backspace: () => void back(), Escape: () => setCorners(null) };
      const act = keys[event.key];
      if (act === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };
    addEventListener("keydown", onKey, true);
    return () => removeEventListener("keydown", onKey, true);
  });
  if (drawing) {
    return (
      <>
        <span class="map-cross" aria-hidden="true" />
        <div class="map-area card" role="status">
          <strong>{t("areaCorners", corners.length)}</strong>
          <span class="quiet">{t("areaKeys")}</span>
          <span class="row">
            <button type="button" class="primary" disabled={!enough} onClick={finish}>
              {t("areaDone")}
            </button>
            <button type="button" disabled={corners.length === 0} onClick={back}>
              {t("areaBack")}
            </button>
            <button type="button" onClick={() => setCorners(null)}>
              {t("areaCancel")}
            </button>
          </span>
        </div>
      </>
    );
  }
  return (
    <div class={`map-area ${query.area === null ? "" : "card"}`}>
      {query.area !== null && (
        <>
          <strong>{t("areaInside")}</strong>
          <span class="row" data-testid="area-counts">
            {LISTS.map((kind) => {
              const { rows, there, whole } = found[kind];
              return (
                <button key={kind} type="button" data-kind={kind} aria-pressed={query.list === kind} onClick={() => setParameters({ list: kind })}>
                  {t(WORDS[kind])} <strong>{rows === null || !there ? "–" : `${number(rows.length)}${whole ? "" : "+"}`}</strong>
                </button>
              );
            })}
          </span>
        </>
      )}
      <span class="row">
        <button type="button" data-testid="area-draw" onClick={() => setCorners([])}>
          {query.area === null ? t("areaDraw") : t("areaAnew")}
        </button>
        {query.area !== null && (
          <button type="button" onClick={() => setParameters({ area: null })}>
            {t("areaClear")}
          </button>
        )}
      </span>
    </div>
  );
}
