import { language, t } from '../texts/language.svelte';

/** The rules that raise "at risk", in words; a rule the server does not name is left out. */
export function rulesText(rules: Record<string, unknown> | undefined): string {
  const value = (name: string): number | undefined => (typeof rules?.[name] === 'number' ? (rules[name] as number) : undefined);
  const parts: string[] = [];
  const weeks = value('absent_weeks');
  if (weeks !== undefined) parts.push(t('rule.absent', { count: weeks }));
  const low = value('low_share');
  if (low !== undefined) {
    parts.push(t('rule.low', { share: language.percent(low), count: value('low_count') ?? 0, of: value('low_window') ?? 0 }));
  }
  const fall = value('fall_share');
  if (fall !== undefined) {
    parts.push(t('rule.fall', { points: Math.round(fall * 100), count: value('fall_exercises') ?? 0 }));
  }
  if (parts.length === 0) return '';
  return t('rule.all', { list: new Intl.ListFormat(language.tag, { type: 'disjunction' }).format(parts) });
}
