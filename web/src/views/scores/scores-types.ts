// What the view reads of the API (docs/api-cases.md, docs/score.md).
export interface ItemScore {
  item: string;
  name: string;
  part: "campaign" | "office";
  score: number | null;
  weight: number;
  entered: boolean;
  concerned: boolean | null;
  office: string | null;
  author: string | null;
  evidence: string | null;
  entered_at: string | null;
}
export interface Row {
  department: string;
  name: string;
  group: string;
  rank: number | null;
  total: number | null;
  grade: string | null;
  digital: number | null;
  campaign_mean: number | null;
  bonus: number;
  deducted: number;
  scores: ItemScore[];
  awards: { kind: string; name: string; points: number; times: number; clause: string }[];
  missing: { item: string; name: string }[];
}
export interface Finding {
  kind: string;
  name: string;
  department: string;
  text: string;
  clause: string;
  undecided: string | null;
  amount_yuan: number | null;
}
export interface Assessment {
  month: string;
  published: boolean;
  closed?: boolean;
  rows: Row[];
  findings: Finding[];
}
export interface Status {
  month: string;
  ended: boolean;
  closed: boolean;
  published: boolean;
  published_at: string | null;
  closed_by: string | null;
  sha256: string | null;
  departments: number;
  missing: { department: string; name: string; missing: { item: string; name: string }[] }[];
  adjustments?: number;
  events_written_after_closing?: number;
}
export interface Costing {
  case: string;
  times: number;
  points?: number;
}
export interface Item {
  key: string;
  name: string;
  kind: string;
  points: number | null;
  weight: number | null;
  lost: number | null;
  rate?: number | null;
  numerator?: number;
  denominator?: number;
  counts?: { sum: number; times: number; points: number; measures: string[] }[];
  rule: { numerator?: string[]; denominator?: string[]; where?: Record<string, unknown> };
  costing?: Costing[];
}
export interface Explanation {
  department: string;
  name: string;
  rank: number | null;
  score: number | null;
  group_name: string;
  items: Item[];
  formula: { name: string; version: number; source: string };
  adjustments: { points: number; reason: string; author: string }[];
}
export interface Statistics {
  by: string;
  rows: { key: string; name_zh?: string | null; rates: Record<string, number | null>; measures: Record<string, number> }[];
  rates: { rate: string; name_zh: string; numerator: string[]; denominator: string[] }[];
  measures: { measure: string; name_zh: string }[];
}
export interface Entry {
  id: number;
  kind: "entry" | "award" | "input";
  item: string;
  department: string;
  score: number | null;
  times: number | null;
  revokes: number | null;
  office: string | null;
  author: string;
  evidence: string;
  entered_at: string;
}
