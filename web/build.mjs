// What Trunk cannot do: bundle the editor and the style sheets with their fonts. Writes web/assets-gen/.
import { build } from 'esbuild';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here('./assets-gen');
// What lies beside these is worker/build-python.mjs's.
for (const own of ['fonts', 'editor.js', 'archive.js', 'page.css']) await rm(`${out}/${own}`, { recursive: true, force: true });

const common = { bundle: true, minify: true, outdir: out, logLevel: 'warning', target: ['chrome137', 'firefox140'] };
await build({ ...common, entryPoints: [{ in: here('./editor/editor.mjs'), out: 'editor' }], format: 'esm' });
await build({ ...common, entryPoints: [{ in: here('./archive/archive.mjs'), out: 'archive' }], format: 'esm' });
await build({
  ...common,
  entryPoints: [{ in: here('./styles/page.css'), out: 'page' }],
  loader: { '.woff2': 'file' },
  assetNames: 'fonts/[name]-[hash]',
});
