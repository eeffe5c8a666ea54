/** Settings as the server gives them, in groups and as people read them. */
export type Setting = {
  key: string;
  variable: string;
  value: unknown;
  default: unknown;
  unit: string;
  from: string;
  reason: string;
};
export type Section = { name: string; settings: Setting[] };

/** A value as people read it; "none" where there is none. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'string') return value === '' ? 'empty' : value;
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value) && value.length === 0) return 'none';
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ');
  return JSON.stringify(value);
}

export const differs = (one: Setting): boolean => JSON.stringify(one.value) !== JSON.stringify(one.default);

/** Those that a search is about, and of them where it is asked those that are not as they come. */
export function chosen(settings: Setting[], text: string, changed: boolean): Setting[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return settings.filter((one) => {
    const said = `${one.key} ${one.variable} ${one.reason}`.toLowerCase();
    return words.every((word) => said.includes(word)) && (!changed || differs(one));
  });
}

/** By the first word of their keys, in the order of the first of each. */
export function sections(settings: Setting[]): Section[] {
  const found = new Map<string, Setting[]>();
  for (const one of settings) {
    const name = one.key.includes('.') ? one.key.slice(0, one.key.indexOf('.')) : 'general';
    found.set(name, [...(found.get(name) ?? []), one]);
  }
  return [...found].map(([name, inside]) => ({ name, settings: inside }));
}
