/** What the server answers, as the outer contract names it. Times are ISO 8601 UTC, ids strings. */
export type Role = 'instructor' | 'learner' | 'operator';
export type Person = { id: string; name: string; role?: Role };

export type Grant = {
  token: string;
  expires_in: number;
  resume?: string;
  user?: Person;
  course?: { id: string; title: string };
};

export type Space = { used: number; limit: number };

export type Course = {
  id: string;
  title: string;
  user: Person;
  locale?: string | null;
  return_url?: string | null;
  space?: Space | null;
  upload?: { max_bytes: number };
  limits?: { message_characters: number; own_deletion_minutes: number };
};

export type Message = {
  id: string;
  seq: number;
  author: Person;
  content: string;
  created_at: string;
  deleted?: boolean;
};

export type Frame = { type: string; id?: string; data?: Record<string, unknown> };

export type VideoStatus = 'queued' | 'processing' | 'playable' | 'ready' | 'failed';
export type Chapter = { start: number; title: string };
export type Captions = { lang: string; label: string; url: string };
export type Rendition = { name: string; height: number; width: number; bandwidth: number };
/** Picture n, counted by rows over the sheets, shows the lecture at n * `interval` seconds. */
export type Preview = {
  interval: number;
  count: number;
  columns: number;
  rows: number;
  width: number;
  height: number;
  sheets: string[];
};
export type Step = { name: string; state: string };

export type Video = {
  id: string;
  title: string;
  status: VideoStatus;
  progress: number;
  position?: number | null;
  reason?: string | null;
  duration?: number | null;
  renditions?: Rendition[];
  playback?: string | null;
  poster?: string | null;
  preview?: Preview | null;
  captions?: Captions[];
  withheld?: string | null;
  remaking?: boolean;
  chapters?: Chapter[];
  size?: number | null;
  filename?: string | null;
  created_at?: string;
  steps?: Step[];
};

/** An entry of the person's feed; `data` holds what its sentence needs besides. */
export type Notice = {
  id: string;
  kind: string;
  subject: string;
  data: Record<string, unknown>;
  created_at: string;
  read: boolean;
};
/** Whether there can be e-mail to the person, and whether there is. */
export type MailChoice = { available: boolean; on: boolean };
export type Feed = { notifications: Notice[]; unread: number; next: string | null; mail: MailChoice };

export type Percentiles = { p10: number; p25: number; p50: number; p75: number; p90: number };
export type Bin = { from: number; to: number; count: number };
export type CourseFigures = {
  count: number;
  mean: number | null;
  percentiles: Percentiles | null;
  histogram: Bin[];
  members?: number | null;
};
/** Why a student is marked, in parts, so that the page can say it in its language. */
export type Reason = {
  rule: string;
  weeks?: number;
  low?: number;
  of?: number;
  share?: number;
  points?: number;
  since?: string;
};
export type StudentRow = {
  user: string;
  name?: string | null;
  mean: number | null;
  rank?: number | null;
  percentile: number | null;
  trend: number | null;
  at_risk: boolean;
  why?: string[];
  reasons?: Reason[];
  last?: (number | null)[];
};
export type Activity = {
  activity: string;
  at: string;
  count: number | null;
  median: number | null;
  q1: number | null;
  q3: number | null;
};
export type Score = {
  activity: string;
  score: number | null;
  max: number | null;
  share: number | null;
  at: string;
  median?: number | null;
};
export type Performance = {
  course: CourseFigures | null;
  students: StudentRow[];
  activities: Activity[] | null;
  scores?: Score[] | null;
  rules?: Record<string, unknown>;
  updated_at?: string | null;
};
export type Ingest = { accepted: number; duplicates: number; rejected: { line: number; reason: string }[] };
