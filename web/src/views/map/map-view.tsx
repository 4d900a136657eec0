// One map: the county as it is now, or as it was known at a moment. The address holds all of it: place, filter, layers, list, what is open.
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../../lib/api.ts";
import { countyFrame, subsystems } from "../../lib/county.ts";
import { setParameters, setPath } from "../../lib/router.ts";
import { theme } from "../../lib/theme.ts";
import type { Box, Case } from "../../lib/types.ts";
import { language } from "../../lib/words.ts";
import { BaseMap, chosenBase, useBasemaps } from "./base.tsx";
import { Area } from "./area.tsx";
import { Canvas, hasWebgl2 } from "./canvas.ts";
import { Layers } from "./layers.tsx";
import { List } from "./list.tsx";
import { mobileKinds, useLive } from "./live.ts";
import { MoverLayer } from "./movers.ts";
import { Panel } from "./panel.tsx";
import { isFiltered, mapQuery, type MapQuery } from "./query.ts";
import { Search } from "./search.tsx";
import { useShade } from "./shade.ts";
import { keyOf, useFound, useList, type Thing } from "./things.ts";
import { TimeBar } from "../../part/time-bar.tsx";
import { useTrack } from "./track.ts";
import { t } from "./words.ts";
import "./map.css";

/** The case that is drawn there: a tile has no numbers of cases. */
async function openCaseAt(lon: number, lat: number): Promise<void> {
  const reach = 0.0003;
  const { cases } = await get<{ cases: Case[] }>("cases", { is: "open", box: [lon - reach, lat - reach, lon + reach, lat + reach].join(","), limit: 100, at: mapQuery().moment ?? "" });
  const far = (one: Case) => Math.hypot((one.lon ?? 0) - lon, (one.lat ?? 0) - lat);
  const nearest = cases.sort((a, b) => far(a) - far(b))[0];
  if (nearest !== undefined) setPath(["case", nearest.case]);
}

/** `movers`: kinds that a layer of their own shows. */
const placed = (things: Thing[], movers: Set<string>) =>
  things.flatMap((thing) => {
    if (thing.lon === null || thing.lat === null) return [];
    if ("kind" in thing && "state" in thing && movers.has(`${thing.subsystem}/${thing.kind}`)) return [];
    const state = "severity" in thing ? thing.severity : thing.state;
    return [{ key: keyOf(thing), state, lon: thing.lon, lat: thing.lat }];
  });

interface MapProperties {
  query: MapQuery;
  movers: MoverLayer;
  bounds: Box | null;
  onCanvas: (canvas: Canvas | null) => void;
  onBox: (box: Box) => void;
  onLost: (lost: boolean) => void;
  /** This browser has no WebGL 2. */
  onNone: () => void;
}

const written = (lon: number, lat: number, zoom: number): string => `${lon.toFixed(5)},${lat.toFixed(5)},${zoom.toFixed(2)}`;

function MapPane({ query, movers, bounds, onCanvas, onBox, onLost, onNone }: MapProperties): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const made = useRef<Canvas | null>(null);
  const told = useRef("");
  const { at } = query;
  const said = at === null ? "" : written(at.lon, at.lat, at.zoom);
  // An address that was not written here, such as the way back: the map goes there.
  useEffect(() => {
    if (at !== null && said !== told.current) made.current?.jumpTo(at.lon, at.lat, at.zoom);
  }, [said]);
  useEffect(() => {
    let canvas: Canvas;
    try {
      canvas = new Canvas(box.current!, movers, query.at, bounds, t("map"), {
        onView: (frame, lon, lat, zoom) => {
          onBox(frame);
          told.current = written(lon, lat, zoom);
          setParameters({ at: told.current }, true);
        },
        onPick: (kind, key, lon, lat) => void (key === null ? openCaseAt(lon, lat) : setPath([kind, key])),
        onLost,
      });
    } catch (error) {
      if (hasWebgl2()) throw error;
      onNone();
      return undefined;
    }
    made.current = canvas;
    onCanvas(canvas);
    return () => {
      made.current = null;
      onCanvas(null);
      canvas.close();
    };
  }, []);
  return <div ref={box} class="map" data-testid="map" />;
}

function Buttons({ canvas, bounds }: { canvas: Canvas; bounds: Box | null }): JSX.Element {
  return (
    <div class="map-buttons">
      <button type="button" aria-label={t("zoomIn")} title={t("zoomIn")} onClick={() => canvas.map.zoomIn()}>
        +
      </button>
      <button type="button" aria-label={t("zoomOut")} title={t("zoomOut")} onClick={() => canvas.map.zoomOut()}>
        −
      </button>
      {bounds && (
        <button type="button" aria-label={t("whole")} title={t("whole")} onClick={() => canvas.fit(bounds)}>
          ⌂
        </button>
      )}
    </div>
  );
}

/** A count that goes up, at the most once in `every` ms. */
function useTurn(every: number): [number, () => void] {
  const [turn, setTurn] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  return [
    turn,
    () => {
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        setTurn((now) => now + 1);
      }, every);
    },
  ];
}

export default function MapView(): JSX.Element {
  const query = mapQuery();
  const [webgl, setWebgl] = useState(true);
  const movers = useMemo(() => new MoverLayer(), []);
  const bases = useBasemaps();
  const [canvas, setCanvas] = useState<Canvas | null>(null);
  const [box, setBox] = useState<Box | null>(null);
  const [lost, setLost] = useState(false);
  const [turns, again] = [{ device: useTurn(5000), alarm: useTurn(2000), case: useTurn(2000) }, useTurn(2000)];
  const past = query.moment !== null;
  useLive(canvas, movers, past, (kind) => {
    turns[kind][1]();
    if (kind === query.list) again[1]();
  });
  const found = {
    device: useFound("device", query, true, turns.device[0]),
    alarm: useFound("alarm", query, true, turns.alarm[0]),
    case: useFound("case", query, true, turns.case[0]),
  };
  // Without a map there is no frame: the list is of the whole county.
  const listed = webgl ? query : { ...query, inView: false };
  const list = useList(query.list, listed, box, query.list === "" ? null : found[query.list], turns[query.list === "" ? "device" : query.list][1]);
  const mobile = useMemo(() => new Set(mobileKinds()), [subsystems.value]);
  useEffect(() => canvas?.show({ off: query.off, mobile: [...mobile], moment: query.moment }), [canvas, query.off.join(), mobile, query.moment]);
  for (const kind of ["device", "alarm", "case"] as const) {
    const rows = found[kind].rows;
    useEffect(() => {
      canvas?.list(kind, rows === null ? null : placed(rows, past ? new Set() : mobile));
      if (kind !== "device") return;
      const ids = rows && new Set(rows.map((thing) => ("id" in thing ? thing.id : 0)));
      movers.filter(ids && ((id) => ids.has(id)));
    }, [canvas, rows, mobile, past]);
  }
  useEffect(() => canvas?.paint(), [canvas, theme.value]);
  useEffect(() => canvas?.map.getCanvas().setAttribute("aria-label", t("map")), [canvas, language.value]);
  // What changed is in the list within two seconds; with a filter useFound does it.
  useEffect(() => {
    if (again[0] > 0 && query.list !== "" && !isFiltered(query, query.list)) list.reload();
  }, [again[0]]);
  useShade(canvas, query);
  useTrack(canvas, query);
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && query.open !== null) setPath([]);
  };
  return (
    <div class={`map-view ${query.list === "" ? "" : "with-list"} ${query.open === null ? "" : "with-panel"}`} onKeyDown={onKey}>
      <aside class="map-side">
        <Search onGo={(lon, lat) => canvas?.goTo(lon, lat)} />
        <Layers query={query} bases={webgl ? bases : []} />
      </aside>
      <section class="map-pane" aria-label={t("map")}>
        {!webgl ? (
          <p class="failed">{t("noWebgl")}</p>
        ) : (
          <MapPane query={query} movers={movers} bounds={countyFrame.value} onCanvas={setCanvas} onBox={setBox} onLost={setLost} onNone={() => setWebgl(false)} />
        )}
        {lost && (
          <p class="failed map-lost" role="alert">
            {t("lost")}
          </p>
        )}
        {canvas && <Buttons canvas={canvas} bounds={countyFrame.value} />}
        {canvas && <BaseMap canvas={canvas} base={chosenBase(query, bases)} />}
        {canvas && <Area query={query} canvas={canvas} found={found} />}
        <TimeBar over ready={() => canvas === null || canvas.map.areTilesLoaded()} />
      </section>
      <List query={listed} list={list} canView={webgl} box={box} />
      {query.open && <Panel key={`${query.open.kind}/${query.open.id}`} query={query} onPlace={(lon, lat) => canvas?.choose(lon, lat)} onGo={(lon, lat) => canvas?.goTo(lon, lat)} />}
    </div>
  );
}
