import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The server renders its own pages and finds the hashed names of these entries in manifest.json.
export default defineConfig({
  base: '/static/',
  plugins: [svelte()],
  publicDir: false,
  build: {
    outDir: '../src/atomic_guide/web/static',
    emptyOutDir: true,
    manifest: 'manifest.json',
    // Inlined assets would be data: URLs, which the content security policy allows for images only.
    assetsInlineLimit: 0,
    // light-dark() stays as written: its fallback needs style rules that double the tokens.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { course: 'src/course.ts', ops: 'src/ops.ts', binding: 'src/binding.ts', tokens: 'src/tokens.css' },
    },
  },
  test: { include: ['tests/**/*.test.ts'], testTimeout: 5000 },
});
