/** What the server answers to the pages of the time ahead. Names are those of /openapi.json. */

export type Hour = { timestamp: string; measured: number | null; p50: number | null; p95: number | null };
export type Peak = { begins: string; ends: string; demand: number };
export type Trust = {
  trusted: boolean;
  why: string;
  confidence: number | null;
  mase: number | null;
  pinball_95: number | null;
  coverage_95: number | null;
  live_error: number | null;
  live_pinball_95: number | null;
  live_coverage_95: number | null;
};
export type Forecast = {
  component: string;
  metric: string;
  unit: string;
  at: string;
  made_at: string | null;
  why: string;
  hours: number;
  needed_hours: number;
  trust: Trust;
  past: Hour[];
  ahead: { timestamp: string; p50: number; p95: number }[];
  peaks: Peak[];
  scores: { made_at: string; error: number; pinball_95: number; coverage_95: number }[];
};

export type Entry = {
  id: string;
  fleet: string;
  kind: string;
  begins_at: string;
  ends_at: string;
  units: number | null;
  note: string;
  calendar: string;
};
export type Schedule = {
  at: string;
  until: string;
  time_zone: string;
  quiet_hours: string;
  entries: Entry[];
  quiet: { begins: string; ends: string }[];
  peaks: Record<string, Peak[]>;
  change: { what: string; setting: string; command: string }[];
};

/** Seconds since the trace's start, and how long. */
export type Stretch = [from: number, seconds: number];
export type Tick = { timestamp: string; demand: number | null; ready: number; desired: number; reason: string };
export type Policy = {
  name: string;
  violation_minutes: number;
  violation_minutes_per_day: number;
  cost_ratio: number | null;
  events_per_day: number;
  flaps_per_day: number;
  peak: number;
  over: Stretch[];
  timeline: Tick[] | null;
};
export type Trace = {
  start: string;
  end: string;
  ticks: number;
  tick: number;
  unit_capacity: number;
  start_delay: number;
  min: number;
  max: number;
  missing: Stretch[];
};
export type Demand = { kind: 'demonstration' | 'history' | 'csv'; name: string; days: number | null };
export type Simulation = {
  id: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  progress: number;
  step: string;
  started_at: string;
  seconds: number;
  who: string;
  demand: Demand | null;
  names: string[];
  error: string;
  trace: Trace | null;
  policies: Policy[];
};
export type Worth = { minute: number; change: number; flap: number };
/** A fleet whose record can be replayed, with the terms that hold for it. */
export type FleetChoice = {
  fleet: string;
  unit: string;
  unit_capacity: number;
  start_delay: number;
  min: number;
  max: number;
  hours: number;
  since: string | null;
};

export type Choices = {
  traces: { name: string; title: string; what: string; unit: string; unit_capacity: number }[];
  fleets: FleetChoice[];
  policies: { name: string; what: string }[];
  worth: Worth;
  running: number;
  most_running: number;
  most_ticks: number;
  most_points: number;
  most_seconds: number;
  runs: Simulation[];
};

export type Figure = { low: number; middle: number; high: number };
export type Until = { low: string | null; middle: string | null; high: string | null; chance: number };
export type Component = {
  name: string;
  what: string;
  unit: string;
  driver: string;
  growth_measured: boolean;
  units: number;
  ceiling: number;
  mode: string | null;
  short: number;
  unit_size: Figure | null;
  capacity_now: Figure | null;
  capacity: Figure | null;
  need_now: Figure;
  per_driver: Figure | null;
  months: { month: string; need: Figure | null; units: Figure | null; cost: Figure | null }[];
  course: { date: string; need: Figure }[];
  runs_out: Until;
  supported_until: string;
  unsupported: string;
  notes: string[];
};
export type Action = {
  action: string;
  component: string;
  add: Figure | null;
  unit: string;
  runs_out: Until;
  lead_days: number;
  begin_by: string;
  overdue: boolean;
  monthly_cost: Figure | null;
  why: string;
};
export type Swing = {
  input: string;
  component: string;
  date_low: string | null;
  date_high: string | null;
  days: number | null;
  cost_low: number | null;
  cost_high: number | null;
};
export type Plan = {
  made_at: string;
  growth: Record<string, string>;
  horizon_months: number;
  until: string;
  first: { component: string; runs_out: Until } | null;
  actions: Action[];
  components: Component[];
  cost: { currency: string; months: (Figure | null)[]; labels: string[]; unpriced: string[]; sources: string[] } | null;
  sensitivity: Swing[];
  missing: Record<string, string>;
  drivers: Record<string, number | null>;
  notes: string[];
  rules: string[];
};

export type Line = { what: string; subject: string; quantity: string; unit: string; amount: string; assumed: boolean };
export type Report = {
  at: string;
  prices: { provider: string; version: string; currency: string; region: string; date: string; source: string; assumed: Record<string, string> };
  why: string;
  now: { hour: string; day: string; month: string; lines: Line[]; unpriced: { what: string; subject: string; quantity: string; unit: string }[] } | null;
  since: string;
  days: { day: string; total: string; hours: string; version: string }[];
  total: string;
  features: Record<string, string>;
  tenants: Record<string, string>;
  regions: Record<string, string>;
  unit_costs: { launch: string | null; message: string | null; lecture_hour: string | null; launches: number; messages: number; lecture_hours: string };
  month: { month: string; to_date: string; expected: string | null; low: string | null; high: string | null; confidence: number; days: number; why: string };
  missing: string[];
};
export type Advice = {
  id: string;
  title: string;
  triggers: string[];
  evidence: { what: string; value: number | null; unit: string; series: string }[];
  since: string;
  until: string;
  hours: string;
  before: string;
  after: string;
  saving: string;
  currency: string;
  version: string;
  risk: string;
  confidence: string;
  confidence_why: string;
  breaks: string;
  steps: string[];
  checked: string[];
  overlaps: string[];
  change: { fleet: string; least: number; former: number } | null;
};
export type Advices = {
  at: string;
  since: string;
  hours: string;
  currency: string;
  version: string;
  before: string;
  after: string;
  saving: string;
  recommendations: Advice[];
  considered: { trigger: string; why: string }[];
  why: string;
};
export type Verdict = { outcome: string; final: boolean; hours: string; saved: string; expected: string; currency: string };
export type AuditEntry = { number: number; at: string; who: string; what: string; change: string; details: Record<string, unknown> };
export type Explained = { advice: Advice; applied_at: string | null; who: string; verdict: Verdict | null; audit: AuditEntry[] };
export type Planned = { applied: boolean; approvals?: { by: string; at: string }[]; needed?: number };
export type Applied = { id: string; fleet: string; applied_at: string; who: string; advice: Advice; verdict: Verdict | null };
