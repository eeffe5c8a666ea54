import './tokens.css';
import { mount } from 'svelte';
import App from './frame/App.svelte';
import { preferences } from './frame/preferences.svelte';
import { ownStore } from './session/storage';
import { language } from './texts/language.svelte';

const meta = (name: string): string | null => document.querySelector<HTMLMetaElement>(`meta[name="atomic-guide-${name}"]`)?.content || null;

const code = meta('code');
// A reload must not post the launch again, and the code must not stay where scripts can find it.
document.querySelector('meta[name="atomic-guide-code"]')?.remove();
history.replaceState(history.state, '', '/course');

preferences.load();
language.use(ownStore.get('atomic-guide.language') ?? meta('locale'));

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(App, { target, props: { code } });
