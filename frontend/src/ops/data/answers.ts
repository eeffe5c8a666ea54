/** The shapes of answers about data, as /openapi.json describes them. */
export type Shard = {
  name: string;
  engine: 'sqlite' | 'postgresql';
  region: string;
  zone: string;
  state: 'joining' | 'active' | 'draining' | 'drained';
  weight: number;
  target: number;
  buckets: number;
  pinned: number;
  courses: number;
  rows: number;
  bytes: number;
  writes: number;
  share: number;
  moves: number;
};
export type Share = { name: string; buckets: number; share: number; share_after: number; share_target: number };
export type Way = { source: string; target: string; moves: number; courses: number; load: number; buckets: string[]; why: string };
export type By = 'bytes' | 'rows' | 'writes' | 'buckets';
export type ZonePlan = {
  zone: string;
  by: By;
  tolerance: number;
  count: number;
  load: number;
  verdict: string;
  ways: Way[];
  shards: Share[];
  over: string[];
};
export type Course = {
  shard: string;
  bucket: number;
  tenant: string;
  course: string;
  context: string;
  title: string;
  rows: number;
  bytes: number;
  writes: number;
};
export type Layout = {
  measured_at: string;
  tolerance: number;
  shards: Shard[];
  zones: ZonePlan[];
  unfinished: number;
  courses: Course[];
  /** Orders of moves that wait for another operator, by what they are. */
  agreed: Record<string, Approval[]>;
};
export type Approval = { by: string; at: string };
export type Move = {
  id: string;
  zone: string;
  bucket: number;
  tenant: string;
  course: string;
  source: string;
  target: string;
  state: 'planned' | 'copying' | 'fencing' | 'flipped' | 'cleaning' | 'done' | 'aborting' | 'aborted';
  step: number | null;
  steps: number;
  held: boolean;
  owner: string;
  paused_by: string | null;
  rows: number;
  pause_ms: number;
  error: string;
  created_at: string;
  updated_at: string;
};
export type Moves = { under_way: Move[]; waiting: Move[]; waiting_count: number; ended: Move[]; next: string | null };
export type Rebalanced = {
  dry_run: boolean;
  begun: boolean;
  unfinished: number;
  planned: number;
  abandoned: number;
  failed: string[];
  zones: ZonePlan[];
  needed: number;
  approvals: Approval[];
};

export type Replica = {
  shard: string;
  replica: string;
  region: string;
  healthy: boolean;
  fault: string;
  since: string | null;
  lag_bytes: number | null;
  lag_seconds: number | null;
  latency_seconds: number;
  breaker: string;
  served: number | null;
};
export type Recorded = { part: string; resolution: number; points: { timestamp: string; value: number | null; most: number | null }[] };
export type Replicas = {
  engine: 'sqlite' | 'postgresql';
  most_lag_seconds: number;
  replicas: Replica[];
  history: Recorded[];
};

export type Region = {
  name: string;
  here: boolean;
  well: boolean | null;
  why: string;
  ms: number | null;
  since: string | null;
  drained: boolean;
  drained_by: string;
  drained_why: string;
  address: string;
  zones: string[];
  roles: string[];
  primary: string[];
  replicas: string[];
  store: string;
};
export type RegionEvent = { number: number; at: string; region: string; what: string; seen_from: string; who: string; why: string };
export type Regions = { own: string; regions: Region[]; chosen: Record<string, number>; events: RegionEvent[]; needed: number; agreed: Record<string, Approval[]> };
export type Where = {
  country: string;
  name: string;
  order: { region: string; km: number; names_it: boolean; away: boolean }[];
  zones: Record<string, string | null>;
};

export type Store = { name: string; region: string; zone: string; kind: 'bucket' | 'directory'; state: string; written: number; read: number };
export type CopyState = 'pending' | 'copying' | 'verified' | 'failed' | 'deleting';
/** `oldest` is when the first of them changed. */
export type Count = { store: string; state: CopyState; sets: number; objects: number; bytes: number; oldest: string };
export type Assets = { stores: Store[]; copies: Count[]; deletions_waiting: number };
export type Copy = {
  tenant: string;
  media: string;
  store: string;
  state: CopyState;
  done: number;
  error: string | null;
  changed_at: string;
  verified_at: string | null;
  objects: number | null;
  bytes: number | null;
};
export type Copies = { replicas: Copy[]; next: string | null };
export type Answer = { store: string; objects: number; tries: number; error: string | null; gone_at: string | null };
export type Receipt = { id: string; digest: string; asked_at: string; finished_at: string | null; stores: Answer[] };

export type Layers = {
  process: string;
  at: string;
  memory_bytes: number;
  memory_hits: number;
  nats_hits: number;
  loads: number;
  stale: number;
  negative: number;
  evicted: number;
  skipped: number;
  garbage: number;
  hears: boolean | null;
};
export type Space = {
  name: string;
  version: number;
  memory_seconds: number;
  shared_seconds: number;
  negative_seconds: number;
  shared: boolean;
  by_course: boolean;
};
export type Cached = { processes: Layers[]; on_nats: { keys: number; bytes: number } | null; spaces: Space[] };
export type Place = { layer: 'memory' | 'nats'; bytes: number; ends_at: string; holds: boolean };
export type FoundValue = { space: string; tenant: string; course: string; places: Place[] };
export type Dropped = { in_memory: number; on_nats: number | null; told: boolean; dry_run: boolean; note: string };
export type Warmed = { seconds: number | null };
export type LogEntry = { number: number; at: string; who: string; what: string; details: Record<string, unknown> };

export type Limit = {
  name: string;
  component: string;
  unit: string;
  setting: string;
  most: number | null;
  value: number | null;
  usage: number | null;
  high: number | null;
  part: string;
  process: string;
  refused: number;
  near: boolean;
  /** What its use is of; only a level is near before it is reached. */
  about: 'level' | 'size' | 'own' | 'kept';
  refuses: string;
};
export type Limits = { processes: number; limits: Limit[] };
export type Bounds = { name: string; kind: string; time_out: string; breaker: string; retries: string; bulkhead: string; without: string };
export type Standing = {
  name: string;
  kind: string;
  state: 'closed' | 'open' | 'half-open' | 'none';
  running: number;
  counts: Record<string, number>;
};
export type Dependencies = {
  declared: Bounds[];
  standing: Standing[];
  open: { process: string; name: string; breakers: number }[];
  processes: number | null;
};
