import type { Ingest, Performance } from '../session/answers';
import type { Session } from '../session/session';

const PATH = '/api/analytics/performance';

/** The course's performance figures, read when they are looked at. */
export class Figures {
  data = $state.raw<Performance>();
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  /** When the shown figures were read; they are stale while `failed` is set and data is there. */
  readAt = $state(0);
  readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  async load(): Promise<void> {
    try {
      this.data = await this.session.call<Performance>(PATH);
      this.readAt = Date.now();
      this.state = 'ready';
    } catch {
      this.state = 'failed';
    }
  }

  /** Sends scores as CSV with a header line. Rejects with `Refused` when nothing was taken. */
  async add(csv: string): Promise<Ingest> {
    const result = await this.session.call<Ingest>(PATH, {
      method: 'POST',
      body: csv,
      headers: { 'Content-Type': 'text/csv; charset=utf-8' },
      timeout: 120_000,
    });
    await this.load();
    return result;
  }
}
