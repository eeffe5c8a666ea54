import './tokens.css';
import './ops/console.css';
import { mount } from 'svelte';
import { preferences } from './frame/preferences.svelte';
import Console from './ops/frame/Console.svelte';

preferences.load();

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(Console, { target });
