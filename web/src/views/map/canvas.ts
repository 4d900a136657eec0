// MapLibre with the county's layers. What is shown is said by calls; what was picked or where the map was moved to is told by callbacks. No request
// leaves for anywhere but the hub: no glyphs, no sprites, no base map unless the county has one.
import { Map as GlMap, prewarm, setWorkerUrl, type ExpressionSpecification, type FilterSpecification, type GeoJSONSource, type LayerSpecification, type StyleSpecification, type VectorTileSource } from "maplibre-gl";
import { presence } from "../../lib/session.ts";
import { colour, shownTheme } from "../../lib/theme.ts";
import type { Box } from "../../lib/types.ts";
import type { Basemap } from "./base.tsx";
import { MoverLayer } from "./movers.ts";
import type { ListKind } from "./query.ts";
import type { Shade } from "./shade.ts";
import { addSymbols, rgb } from "./symbols.ts";

setWorkerUrl(MAPLIBRE_WORKER);
// Its worker starts while the page is drawn for the first time.
prewarm();

export type PointLayer = "device" | "alarm" | "case";

export interface Shown {
  /** Layers that are switched off. */
  off: string[];
  /** Kinds whose devices move: the layer of movers has them, but of the past it has none. */
  mobile: string[];
  /** When; null = now. */
  moment: string | null;
}

/** A thing of a filtered list: what tiles have, all of it, a list has as far as it fits. */
export interface Found {
  key: string;
  state: string;
  lon: number;
  lat: number;
}

type TileId = { x: number; y: number; z: number };

interface Callbacks {
  onView: (box: Box, lon: number, lat: number, zoom: number) => void;
  /** `key` is null for a case of a tile, which does not know its number: `lon`, `lat` is where it is. */
  onPick: (kind: ListKind, key: string | null, lon: number, lat: number) => void;
  onLost: (lost: boolean) => void;
}

const POINTS: PointLayer[] = ["device", "alarm", "case"];
const REFRESH_MS = 500;
/** A base map whose source was away is asked again so often. */
const BASE_AGAIN_MS = 30_000;
const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
const PICK_PIXELS = 12;

/** Whether a map can be made, of a browser in which one could not. */
export function hasWebgl2(): boolean {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

const TILED = ["grid", "department", "zone", "device", "alarm", "case"];
const tileAddress = (layer: string, moment: string | null): string =>
  `${location.origin}/api/v1/tiles/${layer}/{z}/{x}/{y}.mvt${moment === null ? "" : `?at=${encodeURIComponent(moment)}`}`;

const tiles = (layer: string) => ({ type: "vector" as const, tiles: [tileAddress(layer, null)], maxzoom: 18 });
/** Of what belongs to departments there is nothing outside of `frame`, which is around all of them. */
const within = (frame: Box | null) => frame && { bounds: frame };
/** Cells of 100 m (万米单元网格) are 3 pixels wide here: below, thousands of lines would say nothing, and cost the first view a third of its tiles' time. */
const CELLS_ZOOM = 11;

/** From below. What is drawn only at times has a source of its own, which is there as long as there is something of it. */
function layers(): LayerSpecification[] {
  const counts = (layer: PointLayer, colourOf: ExpressionSpecification | string, shift: number) => ({
    id: `${layer}-counts`,
    type: "circle" as const,
    source: layer,
    "source-layer": layer,
    filter: ["has", "count"] as FilterSpecification,
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "count"]], 1, 4, 30, 24] as ExpressionSpecification,
      "circle-color": colourOf,
      "circle-opacity": 0.75,
      "circle-stroke-color": colour("panel"),
      "circle-stroke-width": 1,
      "circle-translate": [shift, shift] as [number, number],
    },
  });
  const points = (layer: PointLayer, icon: ExpressionSpecification | string) => ({
    id: layer,
    type: "symbol" as const,
    source: layer,
    "source-layer": layer,
    filter: ["!", ["has", "count"]] as FilterSpecification,
    layout: { "icon-image": icon, "icon-allow-overlap": true, "icon-ignore-placement": true },
  });
  const icons: Record<PointLayer, ExpressionSpecification | string> = {
    device: ["match", ["get", "state"], "online", "online", "offline"],
    alarm: ["match", ["get", "state"], "critical", "critical", "major", "major", "minor", "minor", "info"],
    case: "case",
  };
  const both = (layer: PointLayer) => [
    points(layer, icons[layer]),
    { id: `${layer}-found`, type: "symbol" as const, source: `${layer}-found`, layout: { "icon-image": icons[layer], "icon-allow-overlap": true, "icon-ignore-placement": true } },
  ];
  return [
    { id: "ground", type: "background", paint: { "background-color": colour("map-ground") } },
    { id: "shade", type: "fill", source: "grid", "source-layer": "grid", layout: { visibility: "none" }, paint: { "fill-color": "rgba(0,0,0,0)" } },
    { id: "grid", type: "line", source: "grid", "source-layer": "grid", minzoom: CELLS_ZOOM, paint: { "line-color": colour("map-line"), "line-width": 1 } },
    { id: "department", type: "line", source: "department", "source-layer": "department", paint: { "line-color": colour("map-cell"), "line-width": 2 } },
    { id: "zone", type: "line", source: "zone", "source-layer": "zone", paint: { "line-color": colour("minor"), "line-width": 1.5, "line-dasharray": [3, 2] } },
    { id: "area", type: "fill", source: "area", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colour("accent"), "fill-opacity": 0.1 } },
    { id: "area-line", type: "line", source: "area", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": colour("accent"), "line-width": 2, "line-dasharray": [4, 2] } },
    { id: "area-corners", type: "circle", source: "area", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": 4, "circle-color": colour("panel"), "circle-stroke-color": colour("accent"), "circle-stroke-width": 2 } },
    { id: "track", type: "line", source: "track", paint: { "line-color": colour("accent"), "line-width": 3, "line-opacity": 0.8 }, layout: { "line-cap": "round" } },
    { id: "stops", type: "circle", source: "track", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": 5, "circle-color": colour("panel"), "circle-stroke-color": colour("accent"), "circle-stroke-width": 2 } },
    counts("device", ["match", ["get", "state"], "online", colour("online"), colour("offline")], 0),
    ...both("device"),
    counts("case", colour("case"), 6),
    ...both("case"),
    counts("alarm", ["match", ["get", "state"], "critical", colour("critical"), "major", colour("major"), "minor", colour("minor"), colour("info")], -6),
    ...both("alarm"),
    { id: "chosen", type: "circle", source: "chosen", paint: { "circle-radius": 16, "circle-color": "rgba(0,0,0,0)", "circle-stroke-color": colour("accent"), "circle-stroke-width": 3 } },
  ];
}

/** What it begins with; tiles of points are asked for first. */
const style = (frame: Box | null): StyleSpecification => ({
  version: 8,
  sources: {
    device: tiles("device"),
    alarm: tiles("alarm"),
    case: tiles("case"),
    department: { ...tiles("department"), maxzoom: 14, ...within(frame) },
    zone: { ...tiles("zone"), ...within(frame) },
    grid: { ...tiles("grid"), maxzoom: 14, ...within(frame) },
  },
  layers: layers().filter((layer) => !("source" in layer) || TILED.includes(layer.source)),
});

export class Canvas {
  readonly map: GlMap;
  /** Whether all tiles were there once. */
  private whole = false;
  private dirty = new Set<PointLayer>();
  /** Tiles that did not come, by source. */
  private readonly lost = new Map<string, TileId[]>();
  /** Asked for in the turn before. */
  private asked = new Set<PointLayer>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private shown: Shown = { off: [], mobile: [], moment: null };
  /** Of when the tiles are that are drawn; undefined = of some time. */
  private drawn: string | null | undefined = null;
  private lists: Record<PointLayer, Found[] | null> = { device: null, alarm: null, case: null };
  private shade: Shade = { by: "code", values: new Map() };
  private painted = shownTheme();
  private ground: { map: Basemap; layers: number } | null = null;
  private groundTimer: ReturnType<typeof setTimeout> | undefined;
  private onGround: (away: boolean) => void = () => undefined;
  /** While an area is drawn: takes a corner. */
  private corner: ((lon: number, lat: number) => void) | null = null;

  constructor(container: HTMLElement, private readonly movers: MoverLayer, at: { lon: number; lat: number; zoom: number } | null, bounds: Box | null, label: string, callbacks: Callbacks) {
    const map = (this.map = new GlMap({
      container,
      style: style(bounds),
      validateStyle: false,
      attributionControl: false,
      renderWorldCopies: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxPitch: 0,
      maxZoom: 20,
      fadeDuration: 0,
      ...(at === null ? { ...(bounds && { bounds, fitBoundsOptions: { padding: 24 } }) } : { center: [at.lon, at.lat] as [number, number], zoom: at.zoom }),
    }));
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    map.getCanvas().setAttribute("aria-label", label);
    movers.attach(map);
    // Not "load", which waits for every tile. Again after a graphics card was lost: MapLibre brings its layers back, not their symbols.
    map.on("style.load", () => {
      this.drawGround();
      this.dress();
      this.paint();
      if (this.shown.moment !== null) this.drawn = undefined;
      this.apply();
    });
    const tell = () => {
      const [box, middle] = [map.getBounds(), map.getCenter()];
      callbacks.onView([box.getWest(), box.getSouth(), box.getEast(), box.getNorth()], middle.lng, middle.lat, map.getZoom());
    };
    tell();
    map.on("moveend", tell);
    map.on("load", () => {
      this.whole = true;
      if (this.dirty.size > 0) this.refresh();
    });
    map.on("click", (event) => (this.corner === null ? this.pick(event.point.x, event.point.y, callbacks) : this.corner(event.lngLat.lng, event.lngLat.lat)));
    map.on("mousemove", (event) => {
      map.getCanvas().style.cursor = this.corner !== null ? "crosshair" : this.at(event.point.x, event.point.y) === null ? "" : "pointer";
    });
    map.on("webglcontextlost", () => callbacks.onLost(true));
    map.on("webglcontextrestored", () => callbacks.onLost(false));
    // A tile that does not come: the stream says what is live and what is not; a session that is over is told to the login.
    map.on("error", (event) => {
      const { sourceId, tile } = event as { sourceId?: string; tile?: { tileID: { canonical: TileId } } };
      if (sourceId !== undefined && tile !== undefined && TILED.includes(sourceId)) this.lost.set(sourceId, [...(this.lost.get(sourceId) ?? []), tile.tileID.canonical]);
      const status = (event.error as { status?: number } | undefined)?.status;
      if (status === 401 && presence.value === "in") presence.value = "over";
      else if (sourceId?.startsWith("base-")) this.groundAway();
      else if (status === undefined || (status < 500 && status !== 401 && status !== 0)) console.error(event.error);
    });
  }

  close(): void {
    clearTimeout(this.timer);
    clearTimeout(this.groundTimer);
    this.movers.detach();
    this.map.remove();
  }

  /** Whether there is a style. */
  private get ready(): boolean {
    return this.map.getLayer("ground") !== undefined;
  }

  /** Tiles of a layer may have changed: they are asked for again at once, or when the turn ends, or when the first ones have come; those that are the
   * same cost a 304. Before there is a style none was asked for. */
  touch(layer: PointLayer): void {
    if (!this.ready) return;
    this.dirty.add(layer);
    if (this.whole && this.timer === undefined) this.refresh();
  }

  /** After a gap: outlines whose tiles did not come in it. */
  again(): void {
    for (const layer of ["grid", "department", "zone"]) this.ask(layer);
  }

  /** Tiles that did not come by name: to be asked for with all others they would wait for ever (MapLibre 6.11, VectorTileSource.loadTile). */
  private ask(layer: string): void {
    if (!this.map.getSource(layer)) return;
    const lost = this.lost.get(layer);
    this.lost.delete(layer);
    if (lost !== undefined) this.map.refreshTiles(layer, lost);
    this.map.refreshTiles(layer);
  }

  /** What was asked for the last time once more: the hub's stream may be a moment before its tiles. */
  private refresh(): void {
    for (const layer of new Set([...this.dirty, ...this.asked])) this.ask(layer);
    this.asked = this.dirty;
    this.dirty = new Set();
    this.timer = this.asked.size === 0 ? undefined : setTimeout(() => this.refresh(), REFRESH_MS);
  }

  show(shown: Shown): void {
    this.shown = shown;
    this.apply();
  }

  private apply(): void {
    const { map, shown } = this;
    if (!this.ready) return;
    const visible = (layer: string, yes: boolean) => map.getLayer(layer) && map.setLayoutProperty(layer, "visibility", yes ? "visible" : "none");
    for (const layer of POINTS) {
      const on = !shown.off.includes(layer);
      const listed = this.lists[layer] !== null;
      visible(layer, on && !listed);
      visible(`${layer}-counts`, on && !listed);
      visible(`${layer}-found`, on && listed);
    }
    const mobile = ["in", ["get", "kind"], ["literal", shown.mobile]];
    const drawn = shown.moment === null ? ["!", mobile] : shown.off.includes("mover") ? ["!", mobile] : true;
    map.setFilter("device", ["all", ["!", ["has", "count"]], drawn] as FilterSpecification);
    this.movers.show(shown.moment === null && !shown.off.includes("mover"));
    if (this.drawn !== shown.moment) {
      this.drawn = shown.moment;
      for (const layer of TILED) map.getSource<VectorTileSource>(layer)?.setTiles([tileAddress(layer, shown.moment)]);
    }
    visible("grid", !shown.off.includes("grid"));
    visible("department", !shown.off.includes("grid"));
    visible("zone", !shown.off.includes("zone"));
  }

  /** The base map, or none; `told` hears whether its source is away. */
  base(map: Basemap | null, told: (away: boolean) => void): void {
    clearTimeout(this.groundTimer);
    this.groundTimer = undefined;
    for (let layer = 0; layer < (this.ground?.layers ?? 0); layer++) {
      if (this.map.getLayer(`base-${layer}`)) this.map.removeLayer(`base-${layer}`);
      if (this.map.getSource(`base-${layer}`)) this.map.removeSource(`base-${layer}`);
    }
    this.ground = map === null ? null : { map, layers: map.layers.length };
    this.onGround = told;
    this.drawGround();
  }

  private drawGround(): void {
    if (this.ground === null || !this.ready) return;
    const { map } = this.ground;
    map.layers.forEach((path, layer) => {
      const id = `base-${layer}`;
      if (!this.map.getSource(id)) this.map.addSource(id, { type: "raster", tiles: [location.origin + path], tileSize: 256, minzoom: map.min_zoom, maxzoom: map.max_zoom });
      if (!this.map.getLayer(id)) this.map.addLayer({ id, type: "raster", source: id, paint: { "raster-fade-duration": 0 } }, "shade");
    });
    this.dimGround();
  }

  /** Devices are to be seen on it in the dark theme, too. */
  private dimGround(): void {
    for (let layer = 0; layer < (this.ground?.layers ?? 0); layer++) {
      if (this.map.getLayer(`base-${layer}`)) this.map.setPaintProperty(`base-${layer}`, "raster-brightness-max", shownTheme() === "dark" ? 0.55 : 1);
    }
  }

  /** What is there stays; what did not come is asked for again after a while. */
  private groundAway(): void {
    this.onGround(true);
    this.groundTimer ??= setTimeout(() => {
      this.groundTimer = undefined;
      this.onGround(false);
      for (let layer = 0; layer < (this.ground?.layers ?? 0); layer++) if (this.map.getSource(`base-${layer}`)) this.map.refreshTiles(`base-${layer}`);
    }, BASE_AGAIN_MS);
  }

  /** Where the mouse is, as it moves, and at first where the middle is; returns what ends it. */
  pointer(told: (lon: number, lat: number) => void): () => void {
    const tell = (event: { lngLat: { lng: number; lat: number } }) => told(event.lngLat.lng, event.lngLat.lat);
    const { lng, lat } = this.map.getCenter();
    told(lng, lat);
    this.map.on("mousemove", tell);
    return () => void this.map.off("mousemove", tell);
  }

  /** What of the theme the style does not have. */
  private dress(): void {
    addSymbols(this.map);
    this.movers.colours(rgb("mover"), rgb("panel"));
    this.dimGround();
    this.shadeBy(this.shade);
  }

  /** The theme has changed, or may have. */
  paint(): void {
    const { map } = this;
    if (!this.ready || this.painted === shownTheme()) return;
    this.painted = shownTheme();
    this.dress();
    for (const layer of layers()) {
      if (!map.getLayer(layer.id)) continue;
      for (const [key, value] of Object.entries(layer.paint ?? {})) {
        if (key.includes("color") && layer.id !== "shade") map.setPaintProperty(layer.id, key as "line-color", value as string);
      }
    }
  }

  /** Grid cells by a number: the more, the darker; of none, nothing. */
  shadeBy(shade: Shade): void {
    this.shade = shade;
    const { by, values } = shade;
    if (!this.map.getLayer("shade")) return;
    const most = Math.max(1, ...values.values());
    const [red, green, blue] = rgb("shade").map((part) => part * 255);
    const pairs = [...values].filter(([, value]) => value > 0).flatMap(([code, value]) => [code, `rgba(${red},${green},${blue},${(0.12 + 0.5 * Math.sqrt(value / most)).toFixed(2)})`]);
    this.map.setLayoutProperty("shade", "visibility", pairs.length === 0 ? "none" : "visible");
    if (pairs.length > 0) this.map.setPaintProperty("shade", "fill-color", ["match", ["get", by], ...pairs, "rgba(0,0,0,0)"] as unknown as ExpressionSpecification);
  }

  /** Shows these instead of the tiles' points; null = the tiles' again. */
  list(layer: PointLayer, things: Found[] | null): void {
    if (things === null && this.lists[layer] === null) return;
    this.lists[layer] = things;
    this.data(`${layer}-found`, {
      type: "FeatureCollection",
      features: (things ?? []).map(({ key, state, lon, lat }) => ({ type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties: { key, state } })),
    });
    this.apply();
  }

  choose(lon: number | null, lat: number | null): void {
    this.data("chosen", lon === null || lat === null ? EMPTY : { type: "Feature", geometry: { type: "Point", coordinates: [lon, lat] }, properties: {} });
  }

  /** A click is a corner from now on; null = it picks again. */
  draw(corner: ((lon: number, lat: number) => void) | null): void {
    this.corner = corner;
    if (corner === null) this.map.doubleClickZoom.enable();
    else {
      this.map.doubleClickZoom.disable();
      this.map.getCanvas().focus();
    }
  }

  /** An area, or as much as is drawn of it. */
  area(corners: [number, number][], whole: boolean): void {
    const features: GeoJSON.Feature[] = whole ? [] : corners.map((corner) => ({ type: "Feature", geometry: { type: "Point", coordinates: corner }, properties: {} }));
    if (corners.length >= 3) features.push({ type: "Feature", geometry: { type: "Polygon", coordinates: [[...corners, corners[0]!]] }, properties: {} });
    else if (corners.length === 2) features.push({ type: "Feature", geometry: { type: "LineString", coordinates: corners }, properties: {} });
    this.data("area", { type: "FeatureCollection", features });
  }

  track(data: GeoJSON.FeatureCollection | null): void {
    this.data("track", data ?? EMPTY);
  }

  /** Of a source that is there at times: without anything it goes with its layers; they come below those that are above them in layers(). */
  private data(source: string, data: GeoJSON.GeoJSON): void {
    const { map } = this;
    const empty = data.type === "FeatureCollection" && data.features.length === 0;
    const set = () => {
      const there = map.getSource<GeoJSONSource>(source);
      if (there !== undefined && !empty) there.setData(data);
      if ((there === undefined) === empty) return;
      if (!empty) map.addSource(source, { type: "geojson", data });
      const all = layers();
      const order = all.map(({ id }) => id);
      for (const layer of all) {
        if (!("source" in layer) || layer.source !== source) continue;
        if (empty) map.removeLayer(layer.id);
        else map.addLayer(layer, order.slice(order.indexOf(layer.id) + 1).find((id) => map.getLayer(id)));
      }
      if (empty) map.removeSource(source);
    };
    if (this.ready) set();
    else
      map.once("style.load", () => {
        set();
        this.apply();
      });
  }

  /** Where an address says. */
  jumpTo(lon: number, lat: number, zoom: number): void {
    this.map.jumpTo({ center: [lon, lat], zoom });
  }

  goTo(lon: number, lat: number): void {
    this.map.easeTo({ center: [lon, lat], zoom: Math.max(this.map.getZoom(), 15), duration: 400 });
  }

  fit(bounds: Box): void {
    this.map.fitBounds(bounds, { padding: 24, duration: 400 });
  }

  private at(x: number, y: number): { kind: ListKind; key: string | null; lon: number; lat: number } | null {
    const { map } = this;
    if (!this.ready) return null;
    const box: [[number, number], [number, number]] = [
      [x - PICK_PIXELS / 2, y - PICK_PIXELS / 2],
      [x + PICK_PIXELS / 2, y + PICK_PIXELS / 2],
    ];
    const of = (...kinds: PointLayer[]) => {
      const feature = map.queryRenderedFeatures(box, { layers: kinds.flatMap((kind) => [kind, `${kind}-found`]).filter((id) => map.getLayer(id)) })[0];
      if (feature === undefined || feature.geometry.type !== "Point") return null;
      const kind = feature.layer.id.replace("-found", "") as PointLayer;
      const [lon = 0, lat = 0] = feature.geometry.coordinates;
      const key = (feature.properties["key"] as string | undefined) ?? (kind === "case" ? null : String(feature.id));
      return { kind, key, lon, lat };
    };
    const mover = () => {
      const found = this.shown.moment !== null || this.shown.off.includes("mover") ? null : this.movers.pick(x, y, PICK_PIXELS);
      const { lng, lat } = map.unproject([x, y]);
      return found === null ? null : { kind: "device" as const, key: String(found), lon: lng, lat };
    };
    return of("alarm", "case") ?? mover() ?? of("device");
  }

  private pick(x: number, y: number, callbacks: Callbacks): void {
    const found = this.at(x, y);
    if (found !== null) {
      callbacks.onPick(found.kind, found.key, found.lon, found.lat);
      return;
    }
    if (!this.ready) return;
    const counts = this.map.queryRenderedFeatures([x, y], { layers: POINTS.map((layer) => `${layer}-counts`) })[0];
    if (counts !== undefined) this.map.easeTo({ center: this.map.unproject([x, y]), zoom: this.map.getZoom() + 2, duration: 300 });
  }
}
