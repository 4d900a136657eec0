// What the desk reads of the API (docs/api-cases.md).
import type { CaseWhole } from "../../lib/types.ts";

export interface Action {
  action: string;
  name_zh: string;
  fields: string[];
  reason_required: boolean;
  to_state: string;
}
export interface Entry {
  seq: number;
  at: string;
  role: string;
  actor: string;
  action: string;
  action_zh: string;
  to_state: string;
  department: string | null;
  previous_department: string | null;
  deadline_at: string | null;
  overdue_s: number | null;
  reason: string | null;
  flags: string[];
}
export interface Near {
  case: string;
  title: string;
  state: string;
  reported_at: string;
  distance_m: number;
}
export interface Clock {
  limit_value: number;
  limit_unit: string;
  running: boolean;
  deadline_at: string | null;
  limit_s: number;
  used_s: number;
  remaining_s: number;
  overdue_s: number;
  overdue: boolean;
}
export interface Detail extends CaseWhole {
  condition: number | null;
  external_code: string | null;
  merged_into: string | null;
  merged: string[];
  candidates?: { department: string; name_zh: string }[];
  rule: { condition_zh: string; closing_zh: string; limit_value: number; limit_unit: string } | null;
  clock?: Clock | null;
  asked_extension?: { amount: number; unit: string } | null;
  /** Why. */
  asked_suspension?: string | null;
  can?: Record<string, Action[]>;
  journal: Entry[];
  nearby?: Near[];
  similar?: Near[];
}
/** GET cases/words */
export interface CaseWords {
  states: { state: string; name_zh: string; final: boolean }[];
  stages: { stage: string; name_zh: string; states: string[] }[];
  sources: { source: string; name_zh: string; roles: string[] }[];
  actions: { action: string; name_zh: string }[];
  roles: { role: string; name_zh: string }[];
  figures: { figure: string; name_zh: string }[];
  statistics: { statistic: string; name_zh: string }[];
  categories: { code: string; name_zh: string; class_zh: string }[];
}
