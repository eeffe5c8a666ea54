import { ar } from './ar';
import { en } from './en';

export type Key = keyof typeof en;
/** A plural form for each category of the language; `other` is the one every language has. */
export type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;
export type Texts = Record<Key, string | Plural>;
export type Values = Record<string, string | number>;

export const languages = { en: 'English', ar: 'العربية' } as const;
export type Code = keyof typeof languages;

const catalogues: Record<Code, Texts> = { en, ar };
const rightToLeft: ReadonlySet<Code> = new Set<Code>(['ar']);

/** The nearest language we have: `ar-EG` is Arabic, an unknown one is English. */
export function nearest(tag: string | null | undefined): Code {
  const base = (tag ?? '').toLowerCase().split(/[-_]/)[0];
  return base !== undefined && Object.hasOwn(catalogues, base) ? (base as Code) : 'en';
}

export function direction(code: Code): 'rtl' | 'ltr' {
  return rightToLeft.has(code) ? 'rtl' : 'ltr';
}

/** Arabic text has Western digits here, because times in messages and in the player are typed so. */
export function tag(code: Code): string {
  return code === 'ar' ? 'ar-u-nu-latn' : code;
}

/**
 * One text with its values put in. A plural text chooses its form by `values.count`;
 * numbers are printed the language's way.
 */
export function phrase(code: Code, key: Key, values: Values = {}): string {
  const entry = catalogues[code][key];
  const text = typeof entry === 'string' ? entry : form(code, entry, Number(values.count));
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? new Intl.NumberFormat(tag(code)).format(value) : value;
  });
}

/** `zero` counts for nothing at all in every language, though English rules do not name it. */
function form(code: Code, plural: Plural, count: number): string {
  if (count === 0 && plural.zero !== undefined) return plural.zero;
  return plural[new Intl.PluralRules(code).select(count)] ?? plural.other;
}
