/** Two characters for a name: "Dr. Fern" is DF, "Student 12" is 12. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const last = words.at(-1) ?? '';
  if (/^\d{1,3}$/.test(last)) return last;
  const first = words[0] ?? '?';
  const letters = words.length > 1 ? [first, last] : [first];
  return letters.map((word) => Array.from(word)[0]?.toLocaleUpperCase() ?? '').join('');
}
