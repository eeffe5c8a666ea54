import type { Person } from '../session/answers';

/** Who may not write; `until` is null where an instructor has to lift it. */
export type Mute = { id: string; name: string; until: string | null };
export type Live = { since: string; until: string; by: Person };
export type RoomView = { open: boolean; live: Live | null; mutes: Mute[]; revision: number };

/** How the room is: open or closed, live or not, who is muted. What ends by itself, the server says when it has. */
export class Standing {
  open = $state(true);
  live = $state.raw<Live | null>(null);
  mutes = $state.raw<Mute[]>([]);
  /** The newest change that is known; a new socket hears what was deleted since. */
  revision = 0;

  /** A whole view: from a `welcome`, or as an action is answered. Who asked may have heard something newer. */
  take(view: Partial<RoomView>): void {
    const revision = Number(view.revision ?? 0);
    if (revision < this.revision) return;
    this.revision = revision;
    this.open = view.open !== false;
    this.live = view.live ?? null;
    this.mutes = view.mutes ?? [];
  }

  /** A `welcome` counts whatever was known: the database may have been put back. */
  begin(welcome: Partial<RoomView>): void {
    this.revision = 0;
    this.take(welcome);
  }

  room(data: Partial<RoomView>): void {
    this.take({ ...data, mutes: this.mutes });
  }

  muted(data: Partial<Mute> & { muted?: boolean; revision?: number }): void {
    const { id = '', name = '', until = null } = data;
    this.heard(data.revision);
    const others = this.mutes.filter((mute) => mute.id !== id);
    this.mutes = data.muted === false ? others : [...others, { id, name, until }];
  }

  /** Frames come in the order of what happened: up to this one, everything is known. */
  heard(revision: unknown): void {
    this.revision = Math.max(this.revision, Number(revision ?? 0));
  }

  muteOf(user: string): Mute | undefined {
    return this.mutes.find((mute) => mute.id === user);
  }
}
