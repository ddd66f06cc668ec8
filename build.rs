//! Puts the built site into the server binary, and the texts of one language into both halves.
//!
//! `public/LANGUAGE/` holds every text that people see: what it contains beside `texts.json` is
//! served as it is. `CAMPFIRE_LANGUAGE` chooses it when the product is built; without that it is
//! English. From `texts.json` comes `$OUT_DIR/texts.rs`, one constant or function for each text,
//! so that a missing one does not compile; and the HTML beside the components (`src/ui/*.html`)
//! goes to `$OUT_DIR` with `{{section.key}}` replaced.
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
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("assets.rs"), table(&site)?)?;
    let texts = texts()?;
    fs::write(out.join("texts.rs"), modules(&texts))?;
    println!("cargo::rerun-if-changed=src/ui");
    for entry in fs::read_dir("src/ui")? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "html") {
            let html = fill(&fs::read_to_string(entry.path())?, &texts)?;
            fs::write(out.join(entry.file_name()), html)?;
        }
    }
    Ok(())
}

/// Sections of texts by their name, in each the texts by theirs.
type Texts = BTreeMap<String, BTreeMap<String, Text>>;

/// A text in which `{name}` stands for what is put in.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    /// One form for a single thing, one for any other number; `{count}` is that number.
    Counted {
        one: String,
        other: String,
    },
}

/// Reads the texts. None has a character that HTML would read as its own, so each of them may stand
/// in HTML as it is.
fn texts() -> Result<Texts, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CAMPFIRE_LANGUAGE");
    let language = env::var("CAMPFIRE_LANGUAGE").unwrap_or_else(|_| "en".to_owned());
    println!("cargo::rustc-env=CAMPFIRE_LANGUAGE={language}");
    let file = format!("public/{language}/texts.json");
    println!("cargo::rerun-if-changed={file}");
    let texts: Texts = serde_json::from_str(&fs::read_to_string(&file)?)?;
    for (key, text) in texts.values().flatten() {
        let forms = match text {
            Text::Plain(text) => [text, text],
            Text::Counted { one, other } => [one, other],
        };
        if forms.iter().any(|form| form.contains(['<', '>', '&', '"', '\\'])) {
            return Err(format!("{file}: {key} has a character of HTML").into());
        }
    }
    Ok(texts)
}

/// The text of `texts.rs`: a module for each section.
fn modules(texts: &Texts) -> String {
    let mut code = String::new();
    for (section, texts) in texts {
        code += &format!("/// Texts of the section `{section}`.\npub mod {section} {{\n");
        for (key, text) in texts {
            code += &item(key, text);
        }
        code += "}\n";
    }
    code
}

/// A text as Rust: a constant, or a function of what is put in. If that is one thing in one place,
/// also what stands before and after it, for HTML that is written piece by piece.
fn item(key: &str, text: &Text) -> String {
    let (shown, body) = match text {
        Text::Plain(text) => (text, formatted(text)),
        Text::Counted { one, other } => {
            let choose = "let count = count.to_string();\nif count == \"1\"";
            (other, format!("{choose} {{ {} }} else {{ {} }}", formatted(one), formatted(other)))
        }
    };
    let mut names: Vec<_> =
        shown.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return format!("/// {shown}\npub const {}: &str = \"{shown}\";\n", key.to_uppercase());
    }
    let parts = shown.split(['{', '}']).collect::<Vec<_>>();
    let parts = match (text, parts.as_slice()) {
        (Text::Plain(_), [before, _, after]) => {
            let name = key.to_uppercase();
            format!("/// {shown}\npub const {name}: (&str, &str) = (\"{before}\", \"{after}\");\n")
        }
        _ => String::new(),
    };
    let names: Vec<_> = names.iter().map(|name| format!("{name}: impl std::fmt::Display")).collect();
    format!("{parts}/// {shown}\npub fn {key}({}) -> String {{\n{body}\n}}\n", names.join(", "))
}

/// An expression for a text with what is put in.
fn formatted(text: &str) -> String {
    if text.contains('{') { format!("format!(\"{text}\")") } else { format!("\"{text}\".to_owned()") }
}

/// HTML with its texts.
fn fill(html: &str, texts: &Texts) -> Result<String, Box<dyn Error>> {
    let mut parts = html.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or("a text's name without an end")?;
        let text = name.split_once('.').and_then(|(section, key)| texts.get(section)?.get(key));
        match text {
            Some(Text::Plain(text)) => filled += text,
            _ => return Err(format!("there is no text {name}").into()),
        }
        filled += rest;
    }
    Ok(filled)
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

/// Adds the files below `folder`. Type declarations and the texts stay out: tools read them,
/// browsers do not.
fn collect(folder: &Path, prefix: &str, site: &mut Site) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), site)?;
        } else if !path.contains(".d.ts") && !path.contains("/texts.json") {
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
