//! The WebAssembly entry point: exports `hydrate` and nothing else, so that link-time
//! optimisation sees the whole program. Everything it starts lives in `campfire::ui`.

use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the server-rendered page live. Called once by `boot.js` after the module has loaded.
#[wasm_bindgen]
pub fn hydrate() {
    campfire::hydrate();
}
