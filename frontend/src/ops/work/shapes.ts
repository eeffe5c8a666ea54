/** Answers of the calls about queues, jobs, dead letters, rooms and load tests. */
export type State = 'queued' | 'delayed' | 'blocked' | 'running' | 'done' | 'dead' | 'cancelled';

export type Lane = {
  queue: string;
  depth: number;
  oldest_wait_seconds: number;
  per_minute: number;
  paused_since: string | null;
  paused_until: string | null;
  paused_by: string | null;
  paused_why: string | null;
  states: Partial<Record<State, number>>;
  weight: number | null;
  goal_seconds: number | null;
};
export type Lanes = { queues: Lane[]; complete: boolean; missing: Record<string, string> };

export type Job = {
  id: string;
  queue: string;
  kind: string;
  subject: string;
  state: State;
  tenant: string;
  course: string;
  shard: string;
  attempts: number;
  created_at: string;
  max_attempts: number | null;
  troubles: number | null;
  progress: number | null;
  worker: string | null;
  run_after: string | null;
  ended_at: string | null;
  why: string | null;
  error: string | null;
};
export type Jobs = { jobs: Job[]; next: string | null; complete: boolean; missing: Record<string, string> };

export type Helps = 'again' | 'fix';
export type Letter = {
  id: string;
  queue: string;
  kind: string;
  subject: string;
  tenant: string;
  course: string;
  attempts: number;
  max_attempts: number;
  reason: string;
  helps: Helps;
  created_at: string;
  died_at: string;
};
export type Letters = {
  letters: Letter[];
  next: string | null;
  counts: { queue: string; kind: string; helps: Helps; letters: number }[];
  complete: boolean;
  missing: Record<string, string>;
};
export type Action = { id: string; at: string; actor: string; action: string; run: string; before: Record<string, unknown>; after: Record<string, unknown> };
export type WholeLetter = { letter: Letter & { payload: Record<string, unknown> }; actions: Action[] };

export type Foreseen = 'runs' | 'dies' | 'held' | 'refused' | 'drops';
export type Plan = {
  groups: { outcome: Foreseen; kind: string; why: string; setting: string; letters: number }[];
  letters: { id: string; kind: string; outcome: Foreseen; why: string }[];
  refused: Record<string, string>;
  missing: Record<string, string>;
  complete: boolean;
};
export type Outcome = {
  run: string;
  counts: Record<string, number>;
  refused: Record<string, string>;
  missing: Record<string, string>;
  complete: boolean;
};
export type Done = { plan: Plan | null; done: Outcome | null };

export type Room = {
  tenant: string;
  course: string;
  title: string | null;
  people: number;
  sockets: number;
  messages_per_second: number | null;
  slow: number;
  behind_seconds: number;
  processes: { process: string; sockets: number; slow: number; behind_seconds: number }[];
};
export type Rooms = {
  rooms: Room[];
  open: number;
  complete: boolean;
  room_sockets: number;
  processes: { process: string; at: string; rooms: number; listed: number; sockets: number }[];
  silent: string[];
};
export type Lagging = {
  process: string;
  sockets: number;
  laggards: { tenant: string; course: string; person: string; bytes: number; frames: number; seconds: number }[];
};

/** A second of a load test. Times are in seconds. */
export type Moment = {
  second: number;
  rate: number;
  throughput: number;
  failed: number;
  in_flight: number;
  sockets: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  tester_cores: number;
  target_cores: number | null;
};
export type Verdict = {
  result: 'met' | 'missed' | 'invalid';
  reasons: string[];
  objectives: (Objective & { met: boolean; measured: number | null })[];
};
export type Objective = { objective: string; text: string; bound: number };
export type RunState = {
  phase?: string;
  since?: string;
  began_at?: string;
  rate?: number;
  seconds?: number;
  sockets?: number;
  target?: string;
  last?: Moment;
  stage?: { kind: 'ramp' | 'settle' | 'hold'; first: number; last: number; seconds: number } | null;
  prepared?: { what: string; done: number; of: number };
  objectives?: Objective[];
};
export type LoadTest = {
  id: string;
  running: boolean;
  state: RunState | null;
  started_at: string | null;
  target: string | null;
  verdict: Verdict | null;
  throughput: number | null;
  p95: number | null;
};
export type Summary = { count: number; failed: number; error_rate: number | null; throughput: number; p50: number | null; p95: number | null; p99: number | null };
export type Report = {
  id: string;
  target: string;
  started_at: string;
  seconds: number;
  complete: boolean;
  verdict: Verdict;
  steady: { seconds: number; requests: number; all: Summary; scenarios: Record<string, Summary> };
  max_throughput: number;
  tester: { testers: number; cpu: number; cpu_most: number; lag_p99: number | null; limit: string[] };
  usage: { cpus: number; processes: number; cores: number | null; utilisation: number | null };
  notes: string[];
  timeline: Moment[];
};
