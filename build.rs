//! Puts the built site into the server binary.
//!
//! `cargo leptos build` leaves the browser's files in `target/site`: script, WebAssembly,
//! stylesheet and everything from `public/`, with `.br` and `.gz` copies beside them when it
//! precompresses. This script writes `$OUT_DIR/assets.rs`, which the server includes:
//!
//! - `BUILD`: 16 hex digits over all names and contents. It is part of every asset's address, so a
//!   browser may keep a file for ever and still sees a new build at once.
//! - `FILES`: `(path, content type, raw, brotli, gzip)`, sorted by path for binary search.
//!
//! Without a built site the table is empty, so `cargo check` and the tests need no browser build.
//! It does not serve, compress or rename anything.

#![expect(clippy::disallowed_methods, reason = "cargo talks in variables")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs, io, time::SystemTime};

/// Every file of the site by its path inside it, with `/` between folders.
type Site = BTreeMap<String, PathBuf>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut site = Site::new();
    // The browser's half is built before the site exists and embeds nothing. If it watched the
    // site, it would be compiled again after every build of its own.
    if env::var_os("CARGO_FEATURE_SSR").is_some() {
        // `sqlx::migrate!` reads this folder, but cargo alone would miss a new file in it.
        println!("cargo::rerun-if-changed=migrations");
        println!("cargo::rerun-if-env-changed=LEPTOS_SITE_ROOT");
        let root = site_root()?;
        println!("cargo::rerun-if-changed={}", root.display());
        collect(&root, "", &mut site)?;
    }
    let assets = Path::new(&env::var("OUT_DIR")?).join("assets.rs");
    Ok(fs::write(assets, table(&site)?)?)
}

/// The folder of the built site. A missing one is created, empty and with an old date: cargo runs
/// a script again each time while a path that it watches is missing or newer than the last run.
fn site_root() -> Result<PathBuf, Box<dyn Error>> {
    let root = env::var("LEPTOS_SITE_ROOT").unwrap_or_else(|_| "target/site".to_owned());
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(root);
    if !root.exists() {
        fs::create_dir_all(&root)?;
        fs::File::open(&root)?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
    Ok(root)
}

/// Adds the files below `folder`. Type declarations stay out: tools read them, browsers do not.
fn collect(folder: &Path, prefix: &str, site: &mut Site) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), site)?;
        } else if !path.contains(".d.ts") {
            site.insert(path, entry.path());
        }
    }
    Ok(())
}

/// The text of `assets.rs`.
fn table(site: &Site) -> io::Result<String> {
    let mut rows = String::new();
    let mut build = 0xcbf2_9ce4_8422_2325;
    for (path, file) in site {
        let plain = path.strip_suffix(".br").or_else(|| path.strip_suffix(".gz"));
        if plain.is_some_and(|plain| site.contains_key(plain)) {
            continue; // a compressed copy, attached to its original
        }
        let bytes = fs::read(file)?;
        for part in [path.as_bytes(), &bytes] {
            build = fnv(fnv(build, &part.len().to_le_bytes()), part);
        }
        let kind = content_type(path);
        let copy = |suffix: &str| match site.get(&format!("{path}{suffix}")) {
            // Packing again what is packed in itself would only make the binary larger.
            Some(file) if !["audio/mpeg", "image/png", "image/webp"].contains(&kind) => {
                format!("Some(include_bytes!({file:?}))")
            }
            _ => "None".to_owned(),
        };
        let (br, gz) = (copy(".br"), copy(".gz"));
        rows += &format!("    ({path:?}, {kind:?}, include_bytes!({file:?}), {br}, {gz}),\n");
    }
    Ok(format!(
        "/// Names this build of the site.\n\
         pub const BUILD: &str = \"{build:016x}\";\n\
         /// Every file: path, content type, raw, brotli, gzip.\n\
         #[expect(clippy::type_complexity, reason = \"a generated table, read in one place\")]\n\
         pub static FILES: &[(&str, &str, &[u8], Option<&[u8]>, Option<&[u8]>)] = &[\n{rows}];\n"
    ))
}

/// 64-bit FNV-1a: small, and the same on every machine. It names builds, it protects nothing.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "mp3" => "audio/mpeg",
        "tsv" => "text/tab-separated-values; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
