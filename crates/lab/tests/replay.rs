//! In WebAssembly, under Node: each shipped lab, from the log of a native run (`socketlab run LAB --record`), happens as
//! it happened natively. `cargo xtask test wasm` makes the logs and says in `SOCKETLAB_RECORDINGS` where they are.
#![cfg(target_arch = "wasm32")]

use js_sys::{Function, JsString, Uint8Array};
use socketlab_lab::{Lab, library};
use socketlab_netsim::replay;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

/// A file of the folder with the recordings.
fn recording(lab: &str) -> Vec<u8> {
    let read = "const { SOCKETLAB_RECORDINGS: folder } = process.env;\
                if (!folder) throw new Error('SOCKETLAB_RECORDINGS is not set; `cargo xtask test wasm` sets it');\
                return process.getBuiltinModule('node:fs').readFileSync(`${folder}/${name}`);";
    let read = Function::new_with_args("name", read);
    let name = JsString::from(format!("{lab}.run").as_str());
    let octets = read.call1(&JsValue::NULL, &name).expect("the recording is there");
    octets.unchecked_into::<Uint8Array>().to_vec()
}

#[wasm_bindgen_test]
fn every_shipped_lab_happens_in_wasm_as_it_happened_natively() {
    for shipped in library() {
        let lab = Lab::parse(shipped.toml).expect("a shipped lab is sound");
        let again = replay(lab.build(1), &recording(shipped.name)).expect("a log of this lab");
        assert_eq!(again.hash, again.logged, "{}: other records than natively", shipped.name);
        assert!(again.world.now().as_nanos() > 0, "{}: nothing happened", shipped.name);
    }
}
