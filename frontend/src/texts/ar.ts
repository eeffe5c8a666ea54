import type { Texts } from './catalogue';
import { en } from './en';

export const ar: Texts = en;
