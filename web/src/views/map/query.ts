// What the map and its list show, as the address says it: one filter for both.
import { route } from "../../lib/router.ts";

export const STATES = ["online", "offline", "never", "alarm"] as const;
export const SHADES = ["", "open", "overdue", "month"] as const;
export const LISTS = ["device", "alarm", "case"] as const;
export type ListKind = (typeof LISTS)[number];

export interface MapQuery {
  subsystem: string;
  state: string;
  department: string;
  text: string;
  /** Layers that are switched off. */
  off: string[];
  shade: string;
  list: ListKind | "";
  /** The list holds only what is within the map's frame. */
  inView: boolean;
  /** What the side panel shows: device/7, alarm/3, case/20261127-000001. */
  open: { kind: ListKind; id: string } | null;
  track: boolean;
  /** lon,lat,zoom */
  at: { lon: number; lat: number; zoom: number } | null;
}

const oneOf = <T extends string>(known: readonly T[], text: string | undefined, otherwise: T): T => known.find((word) => word === text) ?? otherwise;

function placeOf(text: string | undefined): MapQuery["at"] {
  const [lon, lat, zoom] = (text ?? "").split(",").map(Number);
  const good = [lon, lat, zoom].every((value) => value !== undefined && Number.isFinite(value));
  return good && Math.abs(lon!) <= 180 && Math.abs(lat!) <= 85 ? { lon: lon!, lat: lat!, zoom: zoom! } : null;
}

export function mapQuery(): MapQuery {
  const { parameters, path } = route.value;
  const kind = LISTS.find((word) => word === path[0]);
  return {
    subsystem: parameters["subsystem"] ?? "",
    state: STATES.find((word) => word === parameters["state"]) ?? "",
    department: parameters["department"] ?? "",
    text: (parameters["text"] ?? "").trim(),
    off: (parameters["off"] ?? "").split(",").filter((word) => word !== ""),
    shade: oneOf(SHADES, parameters["shade"] as (typeof SHADES)[number] | undefined, ""),
    list: parameters["list"] === "none" ? "" : oneOf(LISTS, parameters["list"] as ListKind | undefined, "device"),
    inView: parameters["inview"] !== "false",
    open: kind !== undefined && path[1] !== undefined ? { kind, id: path[1] } : null,
    track: parameters["track"] === "true",
    at: placeOf(parameters["at"]),
  };
}

/** Whether the filter asks for what tiles do not know: then map and list both show the list. */
export function isFiltered(query: MapQuery, kind: ListKind): boolean {
  return query.subsystem !== "" || query.department !== "" || [...query.text].length >= 2 || (kind === "device" && query.state !== "");
}

/** The same filter for a list of the API. */
export function listParameters(query: MapQuery, kind: ListKind, box: string | null): Record<string, string> {
  const common: Record<string, string> = {};
  if (query.subsystem !== "") common["subsystem"] = query.subsystem;
  if (query.department !== "") common["department"] = query.department;
  if ([...query.text].length >= 2) common["text"] = query.text;
  if (box !== null) common["box"] = box;
  if (kind === "device") return query.state === "" ? common : { ...common, state: query.state };
  if (kind === "alarm") return { ...common, open: "true" };
  return { ...common, is: "open" };
}
