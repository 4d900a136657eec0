// What the map and its list show, as the address says it: one filter for both.
import { momentOf } from "../../lib/moment.ts";
import { route } from "../../lib/router.ts";

export const STATES = ["online", "offline", "never", "away", "in_use", "alarm"] as const;
export const BASE_NONE = "none";
export const SHADES = ["", "open", "overdue", "month", "alarms", "score", "rounds"] as const;
export const LISTS = ["device", "alarm", "case"] as const;
export type ListKind = (typeof LISTS)[number];

export interface MapQuery {
  subsystem: string;
  state: string;
  department: string;
  /** Of devices alone. */
  vendor: string;
  text: string;
  /** Of cases alone: those that a figure of a month's statistics counts; "" = the open ones. */
  statistic: string;
  month: string;
  /** Layers that are switched off. */
  off: string[];
  shade: string;
  list: ListKind | "";
  /** The list holds only what is within the map's frame. */
  inView: boolean;
  /** Only what has a place: what the map's numbers count. */
  placed: boolean;
  /** What the side panel shows: device/7, alarm/3, case/20261127-000001. */
  open: { kind: ListKind; id: string } | null;
  track: boolean;
  /** What is drawn: the corners of a polygon; null = none is. */
  area: [lon: number, lat: number][] | null;
  /** The base map's name, BASE_NONE for none; null = as this browser had it last. */
  base: string | null;
  /** When: the county as it was known then; null = now. */
  moment: string | null;
  /** lon,lat,zoom */
  at: { lon: number; lat: number; zoom: number } | null;
}

const oneOf = <T extends string>(known: readonly T[], text: string | undefined, otherwise: T): T => known.find((word) => word === text) ?? otherwise;

function placeOf(text: string | undefined): MapQuery["at"] {
  const [lon, lat, zoom] = (text ?? "").split(",").map(Number);
  const good = [lon, lat, zoom].every((value) => value !== undefined && Number.isFinite(value));
  return good && Math.abs(lon!) <= 180 && Math.abs(lat!) <= 85 ? { lon: lon!, lat: lat!, zoom: zoom! } : null;
}

/** The most corners that the API takes. */
export const CORNERS_MAX = 100;

function areaOf(text: string | undefined): MapQuery["area"] {
  const degrees = (text ?? "").split(",").map(Number);
  if (degrees.length < 6 || degrees.length % 2 !== 0 || degrees.length > 2 * CORNERS_MAX || !degrees.every(Number.isFinite)) return null;
  return Array.from({ length: degrees.length / 2 }, (_corner, place) => [degrees[2 * place]!, degrees[2 * place + 1]!]);
}

export const areaText = (corners: [number, number][]): string => corners.map((corner) => corner.map((degree) => degree.toFixed(5)).join(",")).join(",");

export function mapQuery(): MapQuery {
  const { parameters, path } = route.value;
  const moment = momentOf(parameters["time"]);
  const kind = LISTS.find((word) => word === path[0]);
  return {
    subsystem: parameters["subsystem"] ?? "",
    state: STATES.find((word) => word === parameters["state"]) ?? "",
    department: parameters["department"] ?? "",
    vendor: parameters["vendor"] ?? "",
    text: (parameters["text"] ?? "").trim(),
    statistic: parameters["statistic"] ?? "",
    month: parameters["month"] ?? "",
    off: (parameters["off"] ?? "").split(",").filter((word) => word !== ""),
    shade: oneOf(SHADES, parameters["shade"] as (typeof SHADES)[number] | undefined, ""),
    list: parameters["list"] === "none" ? "" : oneOf(LISTS, parameters["list"] as ListKind | undefined, "device"),
    // An area is its own frame.
    inView: parameters["inview"] !== "false" && areaOf(parameters["area"]) === null,
    placed: parameters["placed"] === "true",
    area: areaOf(parameters["area"]),
    open: kind !== undefined && path[1] !== undefined ? { kind, id: path[1] } : null,
    track: parameters["track"] === "true",
    base: parameters["base"] ?? null,
    moment,
    at: placeOf(parameters["at"]),
  };
}

/** Whether the filter asks for what tiles do not know: then map and list both show the list. */
export function isFiltered(query: MapQuery, kind: ListKind): boolean {
  return query.area !== null || query.subsystem !== "" || query.department !== "" || [...query.text].length >= 2 || (kind === "device" && (query.state !== "" || query.vendor !== "")) || (kind === "case" && query.statistic !== "");
}

/** The same filter for a list of the API. */
export function listParameters(query: MapQuery, kind: ListKind, box: string | null): Record<string, string> {
  const common: Record<string, string> = {};
  if (query.subsystem !== "") common["subsystem"] = query.subsystem;
  if (query.department !== "") common["department"] = query.department;
  if ([...query.text].length >= 2) common["text"] = query.text;
  if (box !== null) common["box"] = box;
  if (query.area !== null) common["area"] = areaText(query.area);
  if (query.moment !== null) common["at"] = query.moment;
  if (kind === "device") return { ...common, ...(query.state !== "" && { state: query.state }), ...(query.vendor !== "" && { vendor: query.vendor }) };
  if (kind === "alarm") return { ...common, open: "true" };
  // A statistic is as of its own moment.
  if (query.statistic !== "") {
    const { at: _at, ...now } = common;
    return { ...now, statistic: query.statistic, month: query.month };
  }
  return { ...common, is: "open" };
}
