// What the API answers, as far as more than one view reads it (docs/api.md, docs/api-cases.md).
/** Degrees, WGS 84. */
export type Box = [west: number, south: number, east: number, north: number];
export interface Kind {
  key: string;
  name_zh: string;
  mobile: boolean;
}
export interface Subsystem {
  key: string;
  name_zh: string;
  kinds: Kind[];
}
export interface Department {
  code: string;
  name_zh: string;
  kind: string;
  parent: string | null;
  active: boolean;
  grid_cells: number;
}
export type DeviceState = "online" | "offline" | "never";
export interface Device {
  id: number;
  subsystem: string;
  vendor: string;
  code: string;
  /** null: no inventory has named it. */
  kind: string | null;
  name_zh: string;
  status: string;
  lon: number | null;
  lat: number | null;
  grid_cell: string | null;
  department: string | null;
  state: DeviceState;
  last_seen_at: string | null;
  alarms: number;
}
export interface Limit {
  rule: string;
  name_zh: string;
  comparison: "above" | "below";
  threshold: number;
  severity: Severity;
  source: string;
  source_zh: string;
}
export interface Reading {
  key: string;
  name_zh: string;
  unit: string;
  kind: "gauge" | "counter" | "state";
  value: number | null;
  at: string | null;
  quality: string;
  minimum: number | null;
  maximum: number | null;
  normal_low: number | null;
  normal_high: number | null;
  limits: Limit[];
}
export type Severity = "info" | "minor" | "major" | "critical";
export interface Alarm {
  id: number;
  subsystem: string;
  rule: string;
  rule_zh: string;
  text_zh: string;
  severity: Severity;
  device: number | null;
  device_code: string | null;
  device_zh: string | null;
  vendor: string | null;
  vendor_zh: string | null;
  department: string | null;
  grid_cell: string | null;
  lon: number | null;
  lat: number | null;
  value: number | null;
  opened_at: string;
  closed_at: string | null;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  case: string | null;
  comment_count: number;
}
export interface Case {
  case: string;
  title: string;
  state: string;
  state_zh: string;
  stage: string;
  stage_zh: string;
  source: string;
  category: string | null;
  category_zh: string | null;
  department: string | null;
  department_zh: string | null;
  subsystem: string | null;
  device: number | null;
  grid_cell: string | null;
  address: string;
  lon: number | null;
  lat: number | null;
  overdue: boolean;
  flags: string[];
  version: number;
  reported_at: string;
  deadline_at: string | null;
  stage_deadline_at: string | null;
  ended_at: string | null;
  /** It has gone on to another department: when; all else is as it stood then. */
  past?: boolean;
  left_at?: string;
}
/** One case whole. */
export type CaseWhole = Omit<Case, "device"> & {
  description: string | null;
  device: { id: number; subsystem: string; vendor: string; code: string } | null;
  attachments: Attachment[];
};
/** A case's file. `uri` of the hub's own: /api/v1/attachments/SHA256, with /thumbnail behind it if `thumbnail`. */
export interface Attachment {
  seq: number;
  uri: string;
  media_type: string;
  size_bytes: number;
  thumbnail?: boolean;
  taken_at?: string | null;
  lon?: number | null;
  lat?: number | null;
}
/** [at_ms, minimum, mean, maximum, last, count, flagged]; all null and 0: nothing came. */
export type SeriesPoint = [number, number | null, number | null, number | null, number | null, number, number];
export interface Series {
  device: number;
  metric: string;
  name_zh: string;
  unit: string;
  gap_s: number;
  points: SeriesPoint[];
}
export interface Features<P, G = GeoJSON.Geometry> {
  type: "FeatureCollection";
  features: { type: "Feature"; id: string; geometry: G; properties: P }[];
  next?: string | null;
}
