// node web/worker/build-python.mjs OUTDIR: all that the page needs to run Python, made from the npm packages of
// web/package.json: Pyodide's own files, the call module (call.wat), the shim and a snapshot of an interpreter that has
// the shim and the usual modules imported already. The same input gives the same octets.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import crypto from "node:crypto";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const pyodide = dirname(require.resolve("pyodide/package.json"));
const shim_folder = join(here, "..", "..", "python", "socketlab");
const out = process.argv[2];
if (!out) {
  console.error("usage: node web/worker/build-python.mjs OUTDIR");
  process.exit(2);
}

/** What is done in a fresh interpreter before the snapshot; the page does it when it has no snapshot. */
const LIBRARY = "/lib/socketlab";
const PREPARE = `
import sys
sys.path.insert(0, "${LIBRARY}")
import socketlab, socketlab.page
socketlab.install(clock_is_virtual=True)
socketlab.preload()

# What a traceback needs is imported when the first one is printed: now.
import io, traceback
for mistake in ("1 / 0", "(", "nonsense"):
    try:
        exec(mistake)
    except Exception as error:
        traceback.print_exception(error, file=io.StringIO())

import gc
gc.collect()
`;

const lock = JSON.parse(await readFile(join(pyodide, "pyodide-lock.json"), "utf8")).info;
const files = new Map();
for (const name of ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"]) {
  files.set(name, await readFile(join(pyodide, name)));
}
files.set("call.wasm", await assembled(join(here, "python", "call.wat")));
const shim = {};
for (const name of (await readdir(shim_folder)).sort()) {
  if (name.endsWith(".py")) shim[name] = await readFile(join(shim_folder, name), "utf8");
}
files.set("shim.json", Buffer.from(JSON.stringify(shim)));
files.set("snapshot.bin.gz", gzipSync(await snapshot(shim), { level: 9 }));

await mkdir(out, { recursive: true });
const manifest = { lock, prepare: PREPARE, files: {} };
for (const [name, bytes] of files) {
  await writeFile(join(out, name), bytes);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  manifest.files[name] = { size: bytes.length, hash };
}
await writeFile(join(out, "python.json"), `${JSON.stringify(manifest, null, 1)}\n`);
process.exit(0); // Pyodide keeps Node's event loop busy.

async function assembled(path) {
  const wabt = await require("wabt")();
  const module = wabt.parseWat(path, await readFile(path, "utf8"), { reference_types: true });
  module.validate();
  return Buffer.from(module.toBinary({}).buffer);
}

async function snapshot(shim) {
  make_repeatable();
  const { loadPyodide } = await import(join(pyodide, "pyodide.mjs"));
  const python = await loadPyodide({
    indexURL: `${pyodide}/`,
    lockFileContents: { info: lock, packages: {} },
    packageBaseUrl: `${pyodide}/`,
    env: { HOME: "/home/student", PYTHONHASHSEED: "0" },
    _makeSnapshot: true,
  });
  python.FS.mkdirTree(`${LIBRARY}/socketlab`);
  for (const [name, text] of Object.entries(shim)) python.FS.writeFile(`${LIBRARY}/socketlab/${name}`, text);
  python.runPython(PREPARE);
  return python.makeMemorySnapshot();
}

/** Takes chance and clocks from Pyodide, so that the snapshot depends on its input alone. */
function make_repeatable() {
  let state = 12345;
  const fill = (array) => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      bytes[i] = state >> 16;
    }
    return array;
  };
  const value = { getRandomValues: fill, randomUUID: () => "00000000-0000-4000-8000-000000000000" };
  Object.defineProperty(globalThis, "crypto", { value, configurable: true });
  crypto.randomFillSync = fill;
  const now = 1767225600000;
  Date.now = () => now;
  performance.now = () => 1000;
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      if (given.length) super(...given);
      else super(now);
    }
    static now() {
      return now;
    }
  };
  process.env.TZ = "UTC";
}
