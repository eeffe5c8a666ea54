/** What the server answers operators, as /openapi.json describes it; only what the pages use. Times are ISO 8601 UTC. */
export type Unit = 'share' | 's' | 'number' | 'bytes' | 'per_s';

export type FigureShown = {
  name: string;
  component: string;
  metric: string;
  unit: Unit;
  of: string;
  value: number | null;
  limit: number | null;
  points: (number | null)[];
  expected: { p50: (number | null)[]; p95: (number | null)[] } | null;
};
export type ComponentShown = {
  name: string;
  title: string;
  state: 'good' | 'over' | 'unknown';
  figures: FigureShown[];
  facts: { name: string; unit: Unit; value: number | null }[];
};
export type Today = { at: string; since: string; until: string; step: number; components: ComponentShown[] };

export type EventState = 'shadowed' | 'awaiting' | 'acting' | 'done' | 'failed' | 'rolled_back' | 'refused' | 'expired';
export type Mode = 'off' | 'shadow' | 'approve' | 'auto';
export type Told = {
  id: string;
  at: string;
  fleet: string;
  action: string;
  before: number;
  after: number;
  rule: string;
  urgency: string;
  reason: string;
  state: EventState;
  mode: Mode;
  approved: boolean;
  started_at: string | null;
  ended_at: string | null;
  error: string;
  outcome: string;
  success: boolean | null;
  approvals?: { by: string; at: string }[];
  needed?: number;
};
export type Rate = { judged: number; succeeded: number; rate: number | null; undecided: number };
export type FleetTold = {
  fleet: string;
  ready: number | null;
  starting: number | null;
  wanted: number | null;
  least: number | null;
  most: number | null;
  utilisation: number | null;
  mode: Mode | null;
  mode_from: string;
  paused_until: string | null;
  paused_why: string;
  pinned: Record<string, unknown> | null;
  waiting: string | null;
  last: Told | null;
  forecast: {
    made_at: string;
    trusted: boolean;
    why: string;
    confidence: number | null;
    next_peak: string | null;
    next_peak_demand: number | null;
  } | null;
};
export type ScalingStatus = {
  at: string | null;
  stale: boolean;
  leader: { owner: string; alive: boolean; token: number } | null;
  fleets: FleetTold[];
  missing: Record<string, string>;
  troubles: { since: string; fleet?: string; why?: string }[];
  success: Rate;
  events_per_hour: number;
};
export type History = {
  events: Told[];
  success: Rate;
  shadow: Rate;
  rules: { rule: string; events: number; rate: Rate; outcomes: Record<string, number>; seconds: number | null }[];
};
export type Window_ = {
  since: number;
  until: number;
  value: number | null;
  load: number | null;
  response_mean: number | null;
  response_p95: number | null;
};
export type Verdict = {
  outcome?: string;
  success?: boolean | null;
  why?: string;
  before?: Window_ | null;
  after?: Window_ | null;
  load_ratio?: number | null;
  without?: number | null;
  at_old_load?: number | null;
  cost_per_hour?: number | null;
};
export type AuditEntry = {
  number: number;
  at: string;
  who: string;
  what: string;
  fleet: string;
  event: string;
  details: Record<string, unknown>;
};
export type Expected = { component: string; metric: string; limit: number; within: number; part: string; below: boolean };
export type Explained = {
  event: Told;
  inputs: Record<string, number | null>;
  rejected: { what: string; why: string }[];
  expected: Expected | null;
  verdict: Verdict;
  audit: AuditEntry[];
};
export type Point = { timestamp: string; value: number | null; most: number | null };
export type SeriesShown = {
  component: string;
  metric: string;
  part: string;
  resolution: number;
  p50: number | null;
  p95: number | null;
  points: Point[];
};

export type AlertShown = {
  rule: string;
  state: 'pending' | 'firing' | 'silenced';
  severity: string;
  labels: Record<string, string>;
  title: string;
  description: string;
  runbook: string;
  value: number | null;
  since: string;
  fired_at: string | null;
  silences: string[];
  fingerprint: string;
};
export type RuleShown = {
  name: string;
  title: string;
  state: 'firing' | 'pending' | 'inactive' | 'unknown' | 'off';
  severity: string;
  condition: string;
  limit: number | null;
  for_seconds: number;
  unknown_since: string | null;
  runbook: string;
};
export type AlertsStanding = {
  at: string | null;
  stale: boolean;
  alerts: AlertShown[];
  rules: RuleShown[];
  channels: { name: string; kind: string; pending: number; error: string }[];
  silences: number;
  dropped: number;
};
export type Silence = {
  id: string;
  matchers: string[];
  state: string;
  begins_at: string;
  ends_at: string;
  who: string;
  comment: string;
};
export type AlertEntry = {
  number: number;
  at: string;
  who: string;
  what: string;
  rule: string;
  labels: Record<string, string>;
  details: Record<string, unknown>;
};

export type CostReport = {
  at: string;
  why: string;
  prices: { currency: string };
  now: { hour: string; day: string; month: string } | null;
  days: { day: string; total: string; hours: string }[];
  month: { expected: string | null; low: string | null; high: string | null; to_date: string };
};
export type CapacityPlan = {
  made_at: string;
  first: { component: string; runs_out: { low: string | null; middle: string | null; high: string | null; chance: number } } | null;
  actions: { component: string; action: string; begin_by: string; overdue: boolean; lead_days: number; why: string }[];
  missing: Record<string, string>;
  notes: string[];
};
