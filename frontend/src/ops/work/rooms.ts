/** Live rooms in words. */
import { count, several } from '../words.svelte';
import type { Room, Rooms } from './shapes';

export const who =
  'Everybody connected to this process takes what is sent to them at once. Who does not is named here; who leaves too much unsent (rooms.hard_buffer) is asked to come back.';

/** A course by its title; by its id where that is not known. */
export const roomName = (room: Pick<Room, 'title' | 'course'>): string => room.title || room.course;

/** How full a room is where most of its sockets are. */
export function fullness(room: Room, most: number): { share: number; text: string } {
  const sockets = Math.max(0, ...room.processes.map((part) => part.sockets));
  return { share: Math.min(1, sockets / Math.max(1, most)), text: `${count(sockets)} of ${count(most)} sockets in one process` };
}

/** "312 open · 11,204 sockets · 4 processes". */
export function roomsNote(rooms: Rooms): string {
  const sockets = rooms.processes.reduce((sum, one) => sum + one.sockets, 0);
  const open = rooms.complete ? count(rooms.open) : `${count(rooms.open)} or more`;
  return `${open} open · ${several(sockets, 'socket')} · ${several(rooms.processes.length, 'process', 'processes')}`;
}
