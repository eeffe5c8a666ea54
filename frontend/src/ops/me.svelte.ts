/** Who looks, and what they may do. */
import { Refused } from '../session/refusal';
import { api, sentence } from './api';

export type Operator = { id: string; name: string; role: 'operator' | 'read-only'; source: string };
export type SignIn = { oidc: boolean; provider?: string | null };
type Answer = { operator: Operator; expires_at: string; sign_in: SignIn; two_person: boolean; demo: boolean; data: string };
type Stage = 'asking' | 'out' | 'in' | 'failed';

class Me {
  stage = $state<Stage>('asking');
  operator = $state.raw<Operator>();
  signIn = $state.raw<SignIn>({ oidc: false });
  twoPerson = $state(false);
  demo = $state(false);
  /** The data directory that commands have to name; empty where they take it by themselves. */
  data = $state('');
  problem = $state('');

  /** Whether this person may change anything. */
  get acts(): boolean {
    return this.operator?.role === 'operator';
  }

  /** Why a button that changes something is locked, for its title; nothing where it is not. */
  get locked(): string | undefined {
    return this.acts ? undefined : 'Locked: you may look only; operators can do this.';
  }

  /** What the page says of it when it opens: nobody's first call fails then. Without that, the server is asked. */
  async begin(said: string | null): Promise<void> {
    const known = said === null ? null : (JSON.parse(said) as { signed_in: boolean; sign_in: SignIn });
    if (known) this.signIn = known.sign_in;
    if (known?.signed_in === false) this.out();
    else await this.ask();
  }

  async ask(): Promise<void> {
    this.problem = '';
    try {
      this.#take(await api.get<Answer>('/api/ops/session'));
    } catch (error) {
      this.#refused(error);
    }
  }

  /** Signs in with the operators' token; what is wrong stands in `problem`. */
  async enter(token: string): Promise<void> {
    this.problem = '';
    try {
      this.#take(await api.post<Answer>('/api/ops/session', { token }));
    } catch (error) {
      this.problem = error instanceof Refused && error.status === 401 ? 'This is not the token of this installation.' : sentence(error);
    }
  }

  async leave(): Promise<void> {
    await api.post('/api/ops/session/end').catch(() => undefined);
    this.out();
  }

  out(): void {
    if (this.stage === 'in') this.problem = '';
    this.stage = 'out';
    this.operator = undefined;
  }

  #take(answer: Answer): void {
    this.operator = answer.operator;
    this.signIn = answer.sign_in;
    this.twoPerson = answer.two_person;
    this.demo = answer.demo;
    this.data = answer.data;
    this.stage = 'in';
  }

  #refused(error: unknown): void {
    if (error instanceof Refused && error.status === 401) {
      const ways = error.details['sign_in'] as SignIn | undefined;
      if (ways) this.signIn = ways;
      this.out();
    } else {
      this.problem = sentence(error);
      this.stage = 'failed';
    }
  }
}

export const me = new Me();
