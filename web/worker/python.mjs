// Glue between the lab worker's Rust code and Pyodide: fetches Python, starts one interpreter per program, hands
// messages over in both directions. All interpreters live in this worker, beside the simulation; each thread of each
// program is a stack of its own, suspended by JavaScript Promise Integration while its call is under way.
// Decides nothing: when who may go on is the simulation's matter (crates/netsim).
//
// Rests on these internals of the pinned Pyodide, checked when an interpreter is made: the options `_loadSnapshot` and
// `createPyodideModule`, the module's exports `JsvPromise_Syncify`, `_PyRuntime`, `_PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET`
// and CPython's C functions, and the import `env.can_run_sync_js`.

/** Wall clock and fetch, kept before Python's view of the world replaces them below. */
const wallClock = performance.now.bind(performance);
const network = globalThis.fetch.bind(globalThis);

/** At most this long, in milliseconds of wall time, may a program compute before commands are looked at. */
const TICK_MS = 10;
/** Programs at once; each costs about 45 MB. */
const MAX_PROGRAMS = 8;
/** Date of the lab's time 0 in milliseconds, as in python/socketlab/clock.py: the same in every run. */
const EPOCH_MS = 1767268800000;

// Emscripten asks `Date.now` and `performance.now` at each call, so that all clocks of C and Python show virtual time.
let virtualMs = 0;
Date.now = () => EPOCH_MS + Math.floor(virtualMs);
performance.now = () => virtualMs;

/** Milliseconds of the wall clock. */
export const wall_now = () => wallClock();
/** Sets the time that all programs see, in nanoseconds since the lab began. */
export function set_virtual_time(nanoseconds) {
  virtualMs = nanoseconds / 1e6;
}
/** Can this browser suspend a stack? */
export const has_jspi = () => typeof WebAssembly.Suspending === "function";

// What Pyodide hangs on the worker while an instance is made (listeners, channels) would keep that instance for ever.
let hung = null;
const Channel = globalThis.MessageChannel;
globalThis.MessageChannel = class extends Channel {
  constructor() {
    super();
    hung?.push(() => (this.port1.close(), this.port2.close()));
  }
};
const listen = globalThis.addEventListener.bind(globalThis);
globalThis.addEventListener = (...listener) => {
  listen(...listener);
  hung?.push(() => globalThis.removeEventListener(...listener));
};

/** What was fetched, once for all interpreters; `null` before. */
let kit = null;
/** Files that Pyodide may ask for, by address. */
const held = new Map();
globalThis.fetch = (resource, options) => {
  const bytes = held.get(String(resource));
  return bytes ? Promise.resolve(new Response(bytes)) : network(resource, options);
};

/**
 * Fetches what `build-python.mjs` made into the folder `base`, telling `progress(loaded, total)` in octets, and makes
 * the first idle interpreter.
 */
export async function load(base, progress) {
  const manifest = await (await network(`${base}python.json`, { cache: "no-cache" })).json();
  const address = (name) => `${base}${name}?v=${manifest.files[name].hash}`;
  const total = Object.values(manifest.files).reduce((sum, file) => sum + file.size, 0);
  let loaded = 0;
  const count = (octets) => progress((loaded += octets), total);
  const bytes = async (name) => {
    const response = await network(address(name));
    if (!response.ok) throw new Error(`${name}: HTTP status ${response.status}`);
    const parts = [];
    for await (const part of chunks(response.body)) {
      parts.push(part);
      count(part.length);
    }
    return new Blob(parts);
  };
  const script = async (name) => {
    const module = await import(address(name));
    count(manifest.files[name].size);
    return module;
  };
  const [pyodide, factory, python, call, stdlib, shim, snapshot] = await Promise.all([
    script("pyodide.mjs"),
    script("pyodide.asm.mjs"),
    bytes("pyodide.asm.wasm").then(async (blob) => WebAssembly.compile(await blob.arrayBuffer())),
    bytes("call.wasm").then(async (blob) => WebAssembly.compile(await blob.arrayBuffer())),
    bytes("python_stdlib.zip").then((blob) => blob.arrayBuffer()),
    bytes("shim.json").then(async (blob) => JSON.parse(await blob.text())),
    bytes("snapshot.bin.gz").then(unpacked, (error) => {
      console.warn(`Python starts without its snapshot, which is slower: ${error}`);
      return null;
    }),
  ]);
  // Pyodide fetches its wasm for each interpreter; it gets an empty answer here and the compiled module below.
  held.set(new URL("pyodide.asm.wasm", base).href, new Uint8Array(0));
  held.set(new URL("python_stdlib.zip", base).href, stdlib);
  WebAssembly.instantiateStreaming = async (_, imports) => ({
    module: python,
    instance: await WebAssembly.instantiate(python, imports),
  });
  kit = { base, lock: manifest.lock, prepare: manifest.prepare, loadPyodide: pyodide.loadPyodide, factory: factory.default, call, shim, snapshot };
  await (idle = interpreter());
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

async function unpacked(blob) {
  // A server may have unpacked it on the way (Content-Encoding): look at gzip's magic number.
  const head = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const packed = head[0] === 0x1f && head[1] === 0x8b;
  const stream = packed ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A promise of an interpreter that waits for a program, or `null`. */
let idle = null;
/** The one being made; Pyodide's loader is run by one at a time. */
let making = Promise.resolve();

function interpreter() {
  return (making = making.catch(() => {}).then(make));
}

async function make() {
  kit.snapshot ??= await home_made_snapshot();
  const loaded = await instance({ _loadSnapshot: kit.snapshot }).catch(async (problem) => {
    console.warn(`Python starts without its snapshot, which is slower: ${problem}`);
    kit.snapshot = await home_made_snapshot();
    return instance({ _loadSnapshot: kit.snapshot });
  });
  const { pyodide, python, trampoline } = loaded;
  // Node, which made the snapshot, lacks what CPython's wasm call trampoline needs, so the snapshot says "none", and
  // calls would go through JavaScript, where no stack can be suspended.
  words(python).setInt32(trampoline_address(python), trampoline, true);
  pyodide.FS.mkdirTree(HOME);
  return new Interpreter(loaded);
}

/** What the build's snapshot holds, made here because that one is missing or does not fit. */
async function home_made_snapshot() {
  const { pyodide, taken_down } = await instance({ _makeSnapshot: true });
  pyodide.runPython(kit.prepare);
  const snapshot = pyodide.makeMemorySnapshot();
  for (const take_down of taken_down) take_down();
  return snapshot;
}

/** A Pyodide instance that can import the shim; what of it is needed here; and what to undo when it is thrown away. */
async function instance(options) {
  const taken_down = (hung = []);
  let env, python, trampoline;
  const loading = kit.loadPyodide({
    indexURL: kit.base,
    lockFileContents: { info: kit.lock, packages: {} },
    packageBaseUrl: kit.base,
    env: { HOME, PYTHONHASHSEED: "0" },
    async createPyodideModule(settings) {
      const instantiate = settings.instantiateWasm;
      settings.instantiateWasm = (imports, done) =>
        instantiate(imports, (instance, module) => {
          env = imports.env;
          python = instance.exports;
          return done(instance, module);
        });
      const module = await kit.factory(settings);
      trampoline = words(python).getInt32(trampoline_address(python), true);
      return module;
    },
    ...options,
  });
  const pyodide = await loading.finally(() => (hung = null));
  // A snapshot holds the heap, not the files.
  const folder = `${LIBRARY}/socketlab`;
  pyodide.FS.mkdirTree(folder);
  for (const [name, text] of Object.entries(kit.shim)) pyodide.FS.writeFile(`${folder}/${name}`, text);
  return { pyodide, env, python, trampoline, taken_down };
}

const words = (python) => new DataView(python.memory.buffer);

function trampoline_address(python) {
  const offset = words(python).getInt32(python._PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET.value, true);
  return python._PyRuntime.value + offset;
}

/** One Pyodide instance: runs one program, once. Exactly one stack of it runs, or none. */
class Interpreter {
  #pyodide;
  #env;
  #python;
  /** What to undo at the end. */
  #taken_down;
  #program = null;
  /** Messages for stacks, while another one runs; in the order they came. */
  #inbox = [];
  /** By thread: what wakes the stack that is suspended in `wait`. */
  #parked = new Map();
  /** By thread: the function of a stack that has not begun. */
  #unborn = new Map();
  /** Named by `resume`. */
  #next = null;
  #running = false;
  #interrupted = false;
  #discarded = false;
  #last_pause = 0;

  constructor({ pyodide, env, python, taken_down }) {
    this.#taken_down = taken_down;
    this.#pyodide = pyodide;
    this.#env = env;
    this.#python = python;
    const glue = {
      post: (at, size) => this.#post(at, size),
      mail: (tid) => this.#mail(tid),
      park: (tid) => this.#park(tid),
      size: (message) => (this.#stop_if_discarded(), message.length),
      copy: (message, at) => new Uint8Array(python.memory.buffer).set(message, at),
      resume: (tid) => void (this.#next = tid),
      leave: () => this.#leave(),
      pause: () => this.#pause(),
      interrupted: () => this.#take_interrupt(),
    };
    this.#install(new WebAssembly.Instance(kit.call, { python, glue }).exports);
    pyodide.registerJsModule("_lab_stacks", { spawn: (tid, fn) => void this.#unborn.set(tid, fn.copy()) });
  }

  /** Makes `functions` a Python module `_lab`. */
  #install(functions) {
    const { malloc, __indirect_function_table: table } = this.#python;
    const module = this.#python.PyImport_AddModule(this.#c_string("_lab"));
    for (const [name, flags] of Object.entries(METHODS)) {
      const slot = table.grow(1);
      table.set(slot, functions[name]);
      const definition = malloc(16); // struct PyMethodDef: name, function, flags, documentation
      const fields = [this.#c_string(name), slot, flags, 0];
      fields.forEach((field, index) => words(this.#python).setInt32(definition + 4 * index, field, true));
      const callable = this.#python.PyCFunction_NewEx(definition, 0, 0);
      this.#python.PyObject_SetAttrString(module, this.#c_string(name), callable);
    }
  }

  #c_string(text) {
    const octets = new TextEncoder().encode(`${text}\0`);
    const at = this.#python.malloc(octets.length);
    new Uint8Array(this.#python.memory.buffer).set(octets, at);
    return at;
  }

  #post(at, size) {
    this.#program?.message(new Uint8Array(this.#python.memory.buffer, at, size));
  }

  #mail(tid) {
    return this.#next === null && this.#inbox.length > 0 && thread_of(this.#inbox[0]) === tid ? this.#inbox.shift() : null;
  }

  /** A browser keeps suspended stacks for ever, and all they refer to; those of a discarded interpreter unwind. */
  #stop_if_discarded() {
    if (this.#discarded) throw STOP;
  }

  #park(tid) {
    this.#stop_if_discarded();
    if (!this.#env.can_run_sync_js()) {
      const kind = words(this.#python).getUint32(this.#python.PyExc_RuntimeError.value, true);
      this.#python.PyErr_SetString(kind, this.#c_string("cannot wait here: called by JavaScript"));
      return null;
    }
    return new Promise((resolve) => {
      this.#parked.set(tid, resolve);
      this.#suspended();
    });
  }

  /** The running stack steps back or has ended: the next one goes on, in a microtask. */
  #suspended() {
    const next = this.#next;
    this.#next = null;
    if (next !== null) this.#wake(next, NOTHING);
    else if (this.#inbox.length > 0) this.#wake(thread_of(this.#inbox[0]), this.#inbox.shift());
    else this.#running = false;
  }

  #wake(tid, message) {
    this.#running = true;
    const begin = this.#unborn.get(tid);
    if (begin) {
      this.#unborn.delete(tid);
      // Not now: the stack that made way is still on its way down.
      Promise.resolve()
        .then(() => begin.callPromising())
        .then(
          () => {
            begin.destroy();
            this.#suspended();
          },
          (error) => this.#program?.failed(String(error)),
        );
    } else {
      const resolve = this.#parked.get(tid);
      this.#parked.delete(tid);
      if (resolve) resolve(message);
      else console.warn(`a message for a thread that does not wait: ${tid}`);
    }
  }

  #leave() {
    this.#program?.ended(1);
    throw STOP;
  }

  #pause() {
    if (wallClock() - this.#last_pause < TICK_MS || !this.#env.can_run_sync_js()) return null;
    return event_loop_turn().then((nothing) => {
      this.#last_pause = wallClock();
      return nothing;
    });
  }

  #take_interrupt() {
    this.#stop_if_discarded();
    const interrupted = this.#interrupted;
    this.#interrupted = false;
    return interrupted;
  }

  /** Hands over a message of the world. */
  deliver(message) {
    if (this.#running) this.#inbox.push(message);
    else this.#wake(thread_of(message), message);
  }

  /** Ctrl-C while the program computes. */
  interrupt() {
    this.#interrupted = true;
  }

  /** Nothing that it still says is heard. */
  discard() {
    this.#program = null;
    this.#discarded = true;
    for (const wake of this.#parked.values()) wake(NOTHING);
    this.#parked.clear();
    this.#unborn.clear();
    for (const take_down of this.#taken_down) take_down();
  }

  /**
   * Runs a program: `program.message(bytes)` for each message, at the end `ended()`, or `failed(text)` if the
   * interpreter itself broke.
   */
  run({ pid, now, seed, file, args, files }, program) {
    this.#program = program;
    this.#running = true;
    this.#last_pause = wallClock();
    for (const [name, text] of files) this.#pyodide.FS.writeFile(`${HOME}/${name}`, text);
    const start = this.#pyodide.runPython(`from socketlab import page; page.start`);
    start
      .callPromising(this.#pyodide.toPy([file, args, pid, now, seed]))
      .then((status) => this.#program?.ended(status), (error) => this.#program?.failed(String(error)));
  }
}

/** By process: its interpreter, or `null` while that is being made; with whether Ctrl-C came before. */
const programs = new Map();
let message_of, end_of;

/** Who takes programs' messages, and their ends (with a status, and a report if the interpreter itself broke). */
export function on_program(message, ended) {
  [message_of, end_of] = [message, ended];
}

/** Starts a program in an interpreter of its own. */
export async function start(pid, now, seed, file, args, names, texts) {
  const entry = { interpreter: null, interrupted: false };
  programs.set(pid, entry);
  const end = (status, report) => {
    if (programs.get(pid) === entry) programs.delete(pid);
    entry.interpreter?.discard();
    end_of(pid, status, report);
    keep_one_idle();
  };
  try {
    const made = idle ?? interpreter();
    idle = null;
    const ready = await made;
    if (programs.get(pid) !== entry) return void (idle ??= made); // Killed meanwhile.
    entry.interpreter = ready;
    if (entry.interrupted) ready.interrupt();
    const files = names.map((name, index) => [name, texts[index]]);
    const message = (bytes) => message_of(pid, bytes);
    ready.run({ pid, now, seed, file, args, files }, { message, ended: end, failed: (text) => end(-6, text) });
  } catch (problem) {
    end(-6, `an interpreter could not be made: ${problem}`);
  }
}

export function deliver(pid, message) {
  programs.get(pid)?.interpreter?.deliver(message);
}

/** Ctrl-C while the program computes. */
export function interrupt(pid) {
  const entry = programs.get(pid);
  if (!entry) return;
  if (entry.interpreter) entry.interpreter.interrupt();
  else entry.interrupted = true;
}

/** Throws the interpreter of a program away. */
export function discard(pid) {
  programs.get(pid)?.interpreter?.discard();
  programs.delete(pid);
  keep_one_idle();
}

let replenish = 0;
/** Some time after the last program ended: a new one starts at once then. */
function keep_one_idle() {
  clearTimeout(replenish);
  replenish = setTimeout(() => {
    if (programs.size < MAX_PROGRAMS) idle ??= interpreter();
    idle?.catch(() => (idle = null));
  }, 500);
}

/** Where the program's files are, and the shim's. */
const HOME = "/home/student";
const LIBRARY = "/lib/socketlab";
const NOTHING = new Uint8Array(0);
/** Unwinds a stack. The mark keeps Pyodide from reporting it. */
const STOP = Object.assign(new Error("the program was stopped"), { pyodide_fatal_error: true });
/** What call.wat offers, with CPython's flags: METH_O, METH_NOARGS, METH_FASTCALL. */
const METHODS = { post: 0x08, wait: 0x08, resume: 0x08, leave: 0x04, interrupt: 0x04, slice: 0x08, tick: 0x80 };

const thread_of = (message) => new DataView(message.buffer, message.byteOffset).getUint32(0, true);

/** Resolves after the messages that wait now have been handled. */
function event_loop_turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new Channel();
    port1.onmessage = () => {
      port1.close();
      resolve(NOTHING);
    };
    port2.postMessage(0);
  });
}
