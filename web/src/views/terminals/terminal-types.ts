// What the API says of terminals (docs/api.md), and their names.
import { dictionary } from "../../lib/words.ts";

export const PROTOCOLS = ["jt808", "hj212", "json"] as const;
export const STATES = ["online", "offline", "never", "source"] as const;
export const KEYS = ["none", "secret", "sm4", "old", "next"] as const;

export interface Kind {
  command: string;
  name_zh: string;
}
export interface Terminal {
  id: number;
  protocol: (typeof PROTOCOLS)[number];
  identity: string;
  subsystem: string;
  vendor: string;
  vendor_zh: string | null;
  device: number | null;
  device_code: string;
  device_zh: string | null;
  department: string | null;
  department_zh: string | null;
  state: (typeof STATES)[number];
  last_seen_at: string | null;
  lon: number | null;
  lat: number | null;
  dialect: string | null;
  crc: string | null;
  offset_minutes: number;
  secret: boolean;
  key_since: string | null;
  key_old: boolean;
  key_next: boolean;
  waiting: number;
  refused: string | null;
  refused_zh: string | null;
  refused_at: string | null;
  commands: Kind[];
}
export interface Parameter {
  id: string;
  name_zh: string;
  low: number;
  high: number;
}
export interface WholeTerminal extends Terminal {
  created_at: string;
  changed_at: string;
  parameters: Parameter[];
  refusal: { reason: string; reason_zh: string; advice_zh: string; advice: string; gateway: string; address: string; first_at: string; last_at: string; frames: number } | null;
  messages: { id: number; code: string; reason: string; received_at: string }[];
}
export interface Counts {
  total: number;
  refused: number;
  waiting: number;
  key_old: number;
  callers: number | null;
  counts: { protocol: Terminal["protocol"]; state: Terminal["state"]; count: number }[];
}
export interface Caller {
  id: number;
  protocol: Terminal["protocol"];
  identity: string;
  reason: string;
  reason_zh: string;
  gateway: string;
  address: string;
  first_at: string;
  last_at: string;
  frames: number;
  first_frame: string | null;
}
export interface Command {
  id: number;
  command: string;
  name_zh: string;
  detail: Record<string, unknown>;
  state: "waiting" | "sent" | "acknowledged" | "failed" | "expired" | "unanswered";
  state_zh: string;
  asked_by: string;
  asked_at: string;
  expires_at: string;
  gateway: string | null;
  sent_at: string | null;
  answered_at: string | null;
  answer: Record<string, unknown>;
}

export const protocolName = dictionary<(typeof PROTOCOLS)[number]>(
  { jt808: "JT/T 808 车载终端", hj212: "HJ 212 监测站", json: "平台来源（JSON）" },
  { jt808: "JT/T 808 vehicles", hj212: "HJ 212 stations", json: "Platforms (JSON)" },
);
