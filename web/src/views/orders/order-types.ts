// Orders of the hotlines as the API tells of them (docs/orders.md).

export const STATES = ["received", "signed", "returned", "answered", "visited"] as const;
export const SATISFACTIONS = ["satisfied", "basically_satisfied", "dissatisfied"] as const;
export const RESULTS = [0, 1, 2] as const;

export interface Order {
  order: string;
  version: number;
  source: string;
  external_number: string;
  title: string;
  address: string;
  urgent: boolean;
  state: (typeof STATES)[number];
  result: 0 | 1 | 2 | 3 | null;
  satisfaction: (typeof SATISFACTIONS)[number] | null;
  received_at: string;
  sign_by: string;
  answer_by: string;
  signed_at: string | null;
  answered_at: string | null;
  visited_at: string | null;
  round: number;
  reminder_count: number;
  sign_overdue: boolean;
  answer_overdue: boolean;
  cases: { case: string; state: string }[];
}

/** What who asks may do with it now. */
export interface Doing {
  action: string;
  name_zh: string;
  reason_required: boolean;
  fields: string[];
}

export interface WholeOrder extends Order {
  content: string;
  answer: string | null;
  lon: number | null;
  lat: number | null;
  attachments: { sha256: string; media_type: string; size_bytes: number }[];
  journal: { version: number; at: string; action: string; action_zh: string; state: string; actor: string; reason: string | null }[];
  can: Doing[];
}
