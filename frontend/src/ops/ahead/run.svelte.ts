/** One simulation: begun or found again, followed until it has ended. A later one overtakes an earlier one. */
import { api, sentence } from '../api';
import type { Simulation } from './shapes';

const CALL = '/api/ops/scaling/simulations';
/** Seconds that the server keeps a call waiting for news. */
const WAIT = 1;
/** Points of a timeline: as many as a wide screen has columns for a chart. */
const POINTS = 720;

export type Asked = {
  trace: { name: string } | { history: string; days: number } | { csv: string };
  policies: string[];
  unit_capacity: number | null;
  start_delay: number | null;
  tick: number;
  min: number | null;
  max: number | null;
};

const path = (id: string): string => `${CALL}/${encodeURIComponent(id)}`;

export class Run {
  /** The last one that has ended well. */
  found = $state.raw<Simulation>();
  running = $state(false);
  progress = $state(0);
  step = $state('');
  problem = $state('');
  /** Of the one that is shown or followed. */
  id = $state('');
  #turn = 0;

  begin(asked: Asked): Promise<void> {
    return this.#follow(() => api.post<Simulation>(CALL, { ...asked, points: POINTS, wait: 0 }));
  }

  open(id: string): Promise<void> {
    return this.#follow(() => api.get<Simulation>(path(id)));
  }

  /** Ends the one that runs; what becomes of it is heard by following it. */
  async cancel(): Promise<void> {
    await api.post(`${path(this.id)}/cancel`);
  }

  async #follow(first: () => Promise<Simulation>): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    Object.assign(this, { running: true, progress: 0, step: '', problem: '', id: '' });
    try {
      let told = await first();
      if (turn === this.#turn) this.id = told.id;
      while (told.state === 'running' && turn === this.#turn) {
        this.progress = told.progress;
        this.step = told.step;
        told = await api.get<Simulation>(path(told.id), { wait: WAIT });
      }
      if (turn !== this.#turn) return;
      if (told.trace) this.found = told;
      else this.problem = told.error;
    } catch (error) {
      if (turn === this.#turn) this.problem = sentence(error);
    } finally {
      if (turn === this.#turn) this.running = false;
    }
  }

  /** No longer followed; what is under way ends by itself. */
  leave(): void {
    this.#turn += 1;
    Object.assign(this, { running: false, id: '' });
  }
}
