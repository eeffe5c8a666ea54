/** The cause (first sentence) and the remedy (the rest) of a failure. */
export function cause(reason: string): [string, string] {
  const match = /^(.*?[.!?؟])\s+(.*)$/s.exec(reason);
  return match ? [match[1] ?? '', match[2] ?? ''] : [reason, ''];
}
