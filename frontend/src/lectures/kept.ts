import { ownStore } from '../session/storage';

/** An upload that has begun in this browser: where it goes on, and what to call it until its file is chosen again. */
export type Kept = { address: string; id: string; title: string; name: string; size: number };

/** The oldest are forgotten; the server forgets them, too, a day after their last byte. */
const MOST = 20;

const place = (course: string): string => `atomic-guide.uploads.${course}`;

/** Uploads of a course that are not complete, by the fingerprint of the file. */
export function keptUploads(course: string): Map<string, Kept> {
  try {
    return new Map(Object.entries(JSON.parse(ownStore.get(place(course)) ?? '{}') as Record<string, Kept>));
  } catch {
    return new Map();
  }
}

/** Keeps where an upload goes on; null forgets it. */
export function keep(course: string, print: string, upload: Kept | null): void {
  const all = keptUploads(course);
  all.delete(print);
  if (upload) all.set(print, upload);
  ownStore.set(place(course), JSON.stringify(Object.fromEntries([...all].slice(-MOST))));
}

/** What tells one file from another without reading two gigabytes. */
export function fingerprint(file: Pick<File, 'name' | 'size' | 'lastModified'>): string {
  return `${file.size}.${file.lastModified}.${file.name}`;
}
