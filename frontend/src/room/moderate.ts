import type { Room } from './room.svelte';
import type { RoomView } from './standing.svelte';

/** What may be done in a room. The server decides each time whether; all of these may be repeated. */
async function act(room: Room, path: string, json: Record<string, unknown>): Promise<void> {
  room.standing.take(await room.session.call<RoomView>(`/api/chat/${path}`, { method: 'POST', json }));
}

export const setOpen = (room: Room, open: boolean): Promise<void> => act(room, 'room', { open });
export const setLive = (room: Room, live: boolean): Promise<void> => act(room, 'live', { live });
export const unmute = (room: Room, user: string): Promise<void> => act(room, 'mutes/lift', { user });
export const mute = (room: Room, user: string, minutes: number | null): Promise<void> =>
  act(room, 'mutes', { user, minutes });

export async function remove(room: Room, seq: number): Promise<void> {
  await room.session.send(`/api/chat/messages/${seq}`, { method: 'DELETE' });
  room.gone(seq);
}
