import type { Reason, StudentRow } from '../session/answers';
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

/** Why a student is marked, in the page's language where the server gives the parts. */
export function whyOf(row: StudentRow): string[] {
  const why = row.why ?? [];
  const reasons = row.reasons ?? [];
  return reasons.length === 0 ? why : reasons.map((reason, index) => sentence(reason) ?? why[index] ?? reason.rule);
}

function sentence(reason: Reason): string | null {
  const { rule, weeks = 0, low = 0, of = 0, share = 0, points = 0, since = '' } = reason;
  if (rule === 'absent') return t('rule.absent', { count: weeks });
  if (rule === 'low') return t('why.low', { share: language.percent(share), count: low, of });
  return rule === 'fall' ? t('why.fall', { count: points, since }) : null;
}
