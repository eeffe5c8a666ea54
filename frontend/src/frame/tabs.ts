import { tabStore } from '../session/storage';

export type Tab = 'lecture' | 'performance' | 'lectures' | 'upload';
const KEY = 'atomic-guide.tab';

/** The part that was open before a reload, else the first. */
export function firstTab(tabs: readonly Tab[]): Tab {
  const kept = tabStore.get(KEY);
  return tabs.find((tab) => tab === kept) ?? tabs[0] ?? 'lecture';
}

export function keepTab(tab: Tab): void {
  tabStore.set(KEY, tab);
}

/** The tab an arrow, Home or End leads to; `rtl` turns the arrows round. */
export function neighbour<T>(tabs: readonly T[], now: T, key: string, rtl: boolean): T | undefined {
  const at = tabs.indexOf(now);
  const step = rtl ? -1 : 1;
  const steps: Record<string, number> = { ArrowRight: at + step, ArrowLeft: at - step, Home: 0, End: tabs.length - 1 };
  const target = steps[key];
  return target === undefined ? undefined : tabs[(target + tabs.length) % tabs.length];
}
