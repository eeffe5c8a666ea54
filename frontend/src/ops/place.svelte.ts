/** Where in the console one is: the address says it all, so that it can be sent to a colleague. */
import { tabStore } from '../session/storage';
import { type Found, find } from './pages';

const HOME = '/ops';
const WANTED = 'atomic-guide.console.wanted';

class Place {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  found: Found | undefined = $derived(find(this.path));

  /** Opens an address of the console. */
  go(href: string): void {
    if (href !== location.pathname + location.search) history.pushState(null, '', href);
    this.read();
    scrollTo(0, 0);
  }

  /** Keeps the page that was asked for, while one signs in at a provider, who sends everybody back to the first page. */
  remember(): void {
    if (this.path !== HOME) tabStore.set(WANTED, location.pathname + location.search);
  }

  /** Goes on to the page that was asked for before. */
  goOn(): void {
    const wanted = tabStore.get(WANTED);
    tabStore.remove(WANTED);
    if (wanted && this.path === HOME && /^\/ops\//.test(wanted)) this.go(wanted);
  }

  /** Puts what is filtered for into the address, without an entry in the history. */
  ask(values: Record<string, string>): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(values)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    history.replaceState(null, '', text ? `${this.path}?${text}` : this.path);
    this.query = query;
  }

  read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  /** Follows links within the console without loading the page again. */
  follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest('a');
    if (!link || link.target || link.origin !== location.origin || !/^\/ops(\/|$)/.test(link.pathname)) return;
    if (/^\/ops\/(sign-in|callback)/.test(link.pathname) || link.hasAttribute('download') || link.hash) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const place = new Place();
