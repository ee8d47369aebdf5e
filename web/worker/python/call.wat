;; Python's C extension `_lab`: the way of a Python program in the page to the simulation beside it, with stacks that
;; can be suspended (python/socketlab/transport.py says what each function does). It is wasm, not JavaScript, because
;; JavaScript Promise Integration can suspend a stack only if every frame between the promising entry and the
;; suspending import is wasm. `build-python.mjs` assembles it, `python.mjs` instantiates it once per interpreter with
;; CPython's own exports (`python`) and the glue (`glue`).
;;
;;   post(bytes)        hands a message to the world
;;   wait(tid) -> bytes suspends this stack until there is something for it
;;   resume(tid)        names the stack that goes on next
;;   leave()            ends the program; never returns
;;   interrupt()        SIGINT at the next instruction of Python code
;;   slice(callable)    sets what `tick` calls
;;   tick(*args)        callback for sys.monitoring's JUMP event: see below
(module
  (import "python" "PyBytes_AsString" (func $bytes_data (param i32) (result i32)))
  (import "python" "PyBytes_Size" (func $bytes_size (param i32) (result i32)))
  (import "python" "PyBytes_FromStringAndSize" (func $bytes_new (param i32 i32) (result i32)))
  (import "python" "PyLong_AsLong" (func $int_value (param i32) (result i32)))
  (import "python" "PyObject_CallNoArgs" (func $call_object (param i32) (result i32)))
  (import "python" "PyErr_SetInterruptEx" (func $set_interrupt (param i32) (result i32)))
  (import "python" "Py_IncRef" (func $keep (param i32)))
  (import "python" "Py_DecRef" (func $release (param i32)))
  (import "python" "_Py_NoneStruct" (global $none i32))
  ;; Pyodide's own: suspends the running stack until the promise settles. Null: a Python error is set.
  (import "python" "JsvPromise_Syncify" (func $suspend (param externref) (result externref)))

  (import "glue" "post" (func $glue_post (param i32 i32)))
  ;; What waits for this stack, if it need not be suspended; null otherwise.
  (import "glue" "mail" (func $glue_mail (param i32) (result externref)))
  ;; A promise of what will come, or null with a Python error set.
  (import "glue" "park" (func $glue_park (param i32) (result externref)))
  (import "glue" "size" (func $glue_size (param externref) (result i32)))
  (import "glue" "copy" (func $glue_copy (param externref i32)))
  (import "glue" "resume" (func $glue_resume (param i32)))
  ;; Unwinds this stack by an exception of JavaScript.
  (import "glue" "leave" (func $glue_leave))
  ;; Is it time to let the event loop run? A promise, or null.
  (import "glue" "pause" (func $glue_pause (result externref)))
  ;; After that: was Ctrl-C pressed meanwhile?
  (import "glue" "interrupted" (func $glue_interrupted (result i32)))

  (global $jumps (mut i32) (i32.const 0))
  (global $on_slice (mut i32) (i32.const 0))

  (func (export "post") (param $self i32) (param $message i32) (result i32)
    (local $data i32)
    (local.set $data (call $bytes_data (local.get $message)))
    (if (i32.eqz (local.get $data)) (then (return (i32.const 0))))
    (call $glue_post (local.get $data) (call $bytes_size (local.get $message)))
    (global.get $none))

  (func (export "wait") (param $self i32) (param $tid i32) (result i32)
    (local $message externref) (local $bytes i32)
    (local.set $tid (call $int_value (local.get $tid)))
    (local.set $message (call $glue_mail (local.get $tid)))
    (if (ref.is_null (local.get $message))
      (then
        (local.set $message (call $glue_park (local.get $tid)))
        (if (ref.is_null (local.get $message)) (then (return (i32.const 0))))
        (local.set $message (call $suspend (local.get $message)))
        (if (ref.is_null (local.get $message)) (then (return (i32.const 0))))))
    (local.set $bytes (call $bytes_new (i32.const 0) (call $glue_size (local.get $message))))
    (if (i32.eqz (local.get $bytes)) (then (return (i32.const 0))))
    (call $glue_copy (local.get $message) (call $bytes_data (local.get $bytes)))
    (local.get $bytes))

  (func (export "resume") (param $self i32) (param $tid i32) (result i32)
    (call $glue_resume (call $int_value (local.get $tid)))
    (global.get $none))

  (func (export "leave") (param $self i32) (param $unused i32) (result i32)
    (call $glue_leave)
    (i32.const 0))

  (func (export "interrupt") (param $self i32) (param $unused i32) (result i32)
    (drop (call $set_interrupt (i32.const 2)))
    (global.get $none))

  (func (export "slice") (param $self i32) (param $callable i32) (result i32)
    (call $keep (local.get $callable))
    (global.set $on_slice (local.get $callable))
    (global.get $none))

  ;; A program that loops without a system call would keep the worker to itself. Every 1,024 jumps the glue is asked
  ;; whether the event loop is due; if so this stack steps aside, so that a command (Ctrl-C) can come in. Nothing of
  ;; this can be seen by the program: virtual time stands still meanwhile. Every 65,536 jumps, a number that depends
  ;; on the program alone, the shim is called, so that it can let another thread of the program run.
  (func (export "tick") (param $self i32) (param $args i32) (param $count i32) (result i32)
    (local $pause externref) (local $result i32)
    (global.set $jumps (i32.add (global.get $jumps) (i32.const 1)))
    (if (i32.eqz (i32.and (global.get $jumps) (i32.const 1023)))
      (then
        (local.set $pause (call $glue_pause))
        (if (i32.eqz (ref.is_null (local.get $pause)))
          (then
            (if (ref.is_null (call $suspend (local.get $pause))) (then (return (i32.const 0))))
            (if (call $glue_interrupted) (then (drop (call $set_interrupt (i32.const 2)))))))
        (if (i32.and (i32.eqz (i32.and (global.get $jumps) (i32.const 65535))) (i32.ne (global.get $on_slice) (i32.const 0)))
          (then
            (local.set $result (call $call_object (global.get $on_slice)))
            (if (i32.eqz (local.get $result)) (then (return (i32.const 0))))
            (call $release (local.get $result))))))
    (global.get $none)))
