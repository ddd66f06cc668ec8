//! The shape of the source: sizes, directions, and what may stand where. Reads the files as text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILES: usize = 50;
const MAX_LINES: usize = 500;

/// Migrations that people's databases may have been through: never changed, only followed.
const RELEASED_MIGRATIONS: [(&str, &str); 7] = [
    ("0001_initial.sql", "4de42a35cd3f5a7f14011cf92f6192ea870b6696423f8fb3e26ab167ad9cab4b"),
    ("0002_people.sql", "8a598c0d717e15114487d05e9406133c8114675df067be34005ff85860350b58"),
    ("0003_rooms.sql", "a28e47ebe9f5fa8d65ef5a08bf4a23ac39a4bee282669c704e600d2490b96ee1"),
    ("0004_search.sql", "d78a87a39026d4242184905a70514df02ca0ae61072e00bd658892d726f8b14f"),
    ("0005_boosts.sql", "0fd537aeadd22cb8cbbd14cd2a004a04394ce3a4e91eca80b03c0c10a4bdc06d"),
    ("0006_unread.sql", "cfffbb418ae5fe7841fbc2f9ad9da59a033d6186d0ef04df78290d3ba5f5a906"),
    ("0007_search_words.sql", "5da6d3c5d31298b497d53f8b10f9d4fd26911fc55f0105a16bad759fd0665bae"),
];

/// Files of `domain` in the order in which they may build on each other.
const DOMAIN_ORDER: [&str; 7] = ["account", "room", "composing", "message", "search", "event", "timeline"];

/// Folders of what people see: their words are in `public/LANGUAGE/texts.json`, so that another
/// language is another folder there.
const TRANSLATED: [&str; 3] = ["src/domain/", "src/server/http/", "src/ui/"];

/// Literals that look like a text and are none: keys and devices by their own names, and our own.
const NO_TEXTS: &str = "Android Backspace Bearer Campfire Chrome Delete Edg Edge End Enter Escape \
                        Firefox Home Linux Mac Macintosh Opera Safari Tab Windows";

/// Attributes that are read out or shown.
const READ_OUT: [&str; 4] = ["aria-label", "title", "placeholder", "alt"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A source file: its path below the root, as written, and its code alone.
struct Source {
    path: String,
    text: String,
    /// Without comments and without the tests at its end.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["src", "web"] {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let read = paths.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let code = code_of(&text);
        Source { path, text, code }
    });
    read.collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Drops comments, and everything from `#[cfg(test)]` on: tests stand at the end of a file.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        // `//` inside a text (an address) is followed by no space.
        let comment = line.trim_start().starts_with("//").then_some(0).or_else(|| line.find(" // "));
        code.push_str(line.split_at(comment.unwrap_or(line.len())).0);
        code.push('\n');
    }
    code
}

/// Every place where one of these texts stands, among the files that may not contain it.
fn offences(forbidden: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !may(&source.path)) {
        for (at, line) in source.code.lines().enumerate() {
            for text in forbidden.iter().filter(|text| line.contains(**text)) {
                found.push(format!("{}:{} {text}", source.path, at + 1));
            }
        }
    }
    found
}

/// The words of the code: identifiers, keywords, numbers.
fn words(code: &str) -> Vec<&str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}

/// A string literal and the code on both sides of it.
struct Literal<'a> {
    before: &'a str,
    text: String,
    after: &'a str,
}

fn literals(code: &str) -> Vec<Literal<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(['"', '\'']).map(|ahead| at + ahead) {
        let (before, rest) = (&code[..start], &code[start + 1..]);
        if code[start..].starts_with('\'') {
            // A lifetime has no second quote; a character may be one itself.
            let escape = if rest.starts_with('\\') { 2 } else { 0 };
            let character =
                rest[escape..].char_indices().take(12).find(|(_, c)| *c == '\'').map(|(end, _)| end);
            let one = |end: &usize| escape > 0 || rest[..*end].chars().count() == 1;
            at = start + 1 + character.filter(one).map_or(0, |end| escape + end + 1);
            continue;
        }
        let hashes = before.len() - before.trim_end_matches('#').len();
        let raw = before[..before.len() - hashes].ends_with('r');
        let mut escaped = false;
        let end = match raw {
            true => rest.find(&format!("\"{}", "#".repeat(hashes))),
            false => rest.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            }),
        };
        let end = end.unwrap_or(rest.len() - 1);
        // What a backslash at the end of a line joins.
        let lines: Vec<_> = rest[..end].split("\\\n").map(str::trim_start).collect();
        let text = rest[..end].split_once("\\\n").map_or(rest[..end].to_owned(), |_| lines.concat());
        found.push(Literal { before, text: text.replace("\\\"", "\""), after: &rest[end + 1..] });
        at = start + end + 2;
    }
    found
}

fn has_letters(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// Without what is put into it: `{name}`, and `{{section.key}}` in a file.
fn without_places(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|c| {
            depth = if *c == '{' { depth + 1 } else { depth };
            let stays = depth == 0;
            depth = if *c == '}' { depth.saturating_sub(1) } else { depth };
            stays
        })
        .collect()
}

/// The words in HTML, whole or a piece of it: between elements and in attributes that are read out.
fn words_in_html(html: &str) -> Vec<String> {
    let html = without_places(html);
    let tag = |part: &str| part.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
    let mut found = Vec::new();
    for name in READ_OUT {
        let start = format!(" {name}=\"");
        let values = html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap());
        found.extend(values.map(str::to_owned));
    }
    if html.contains("\">") || html.split('<').skip(1).any(tag) {
        for (at, part) in html.split('<').enumerate() {
            let text = match part.split_once('>') {
                Some((_, text)) => text,
                None if at == 0 => part,
                None => "",
            };
            found.push(text.to_owned());
        }
    }
    // What is shown of an address is the same in every language.
    found.retain(|text| has_letters(text) && !text.starts_with('?'));
    found
}

impl Literal<'_> {
    /// Reasons, what is logged, and what `frames!` documents: `name: Type = "What it is."`.
    fn is_for_developers(&self) -> bool {
        let before = self.before.trim_end();
        let logged = before.rsplit([';', '{', '}']).next().is_some_and(|code| code.contains("tracing::"));
        let field = before.rsplit(['{', ',', '\n']).next().and_then(|code| code.strip_suffix(" ="));
        let field = field.and_then(|field| field.trim_start().split_once(": "));
        let documented = field.is_some_and(|(name, _)| words(name) == [name]);
        before.ends_with("reason =") || logged || documented
    }

    /// The words in it that people would see.
    fn words(&self) -> Vec<String> {
        let (before, after) = (self.before.trim_end(), self.after.trim_start());
        if self.is_for_developers() {
            return Vec::new();
        }
        let arrow = before.ends_with("=>") || before.ends_with("->");
        let between = before.ends_with('}') && after.starts_with('{');
        let child = before.ends_with('>') && !arrow || after.starts_with('<') || between;
        let attribute = READ_OUT
            .iter()
            .any(|name| before.ends_with(&format!(" {name}=")) || before.ends_with(&format!("\"{name}\",")));
        let named = (child || attribute) && has_letters(&without_places(&self.text));
        if named || reads_as_text(&self.text) {
            return vec![self.text.clone()];
        }
        words_in_html(&self.text)
    }
}

/// Whether this is a sentence, or one word written like the beginning of one. What begins with a
/// number or with a place for something is one as well, unless it is HTML.
fn reads_as_text(text: &str) -> bool {
    let plain = without_places(text);
    let letters = |word: &str| word.trim_matches(|c: char| !c.is_alphabetic()).to_owned();
    let lower = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_lowercase() || c == '-');
    let words: Vec<_> = plain.split_whitespace().map(letters).collect();
    let [first, others @ ..] = words.as_slice() else {
        return false;
    };
    let others = if plain.starts_with(' ') { &words } else { others };
    let capital = plain.starts_with(char::is_uppercase);
    let begins = capital || text.starts_with(|c: char| c == '{' || c.is_ascii_digit()) && !text.contains('<');
    let alone = capital && others.is_empty() && plain.trim_start().starts_with(first.as_str());
    let label = alone && first.chars().next().is_some_and(|c| lower(&first[c.len_utf8()..]));
    let label = label && plain.trim().trim_end_matches([':', '.', '…', '?']) == first;
    let name = NO_TEXTS.split(' ').any(|name| name == text.trim());
    !name && (label || begins && others.iter().any(|word| lower(word)))
}

#[test]
fn what_people_read_stands_in_the_texts_of_their_language() {
    let mut found = Vec::new();
    for source in sources() {
        if TRANSLATED.iter().any(|folder| source.path.starts_with(folder)) {
            for literal in literals(&source.code) {
                let line = literal.before.lines().count();
                let words = literal.words().into_iter();
                found.extend(words.map(|words| format!("{}:{line} {words}", source.path)));
            }
        }
    }
    for entry in fs::read_dir(root().join("src/ui")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let words = words_in_html(&fs::read_to_string(&path).unwrap()).into_iter();
            found.extend(words.map(|words| format!("{}: {words}", path.display())));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_text_is_noticed_wherever_it_stands() {
    let texts = [
        r#"<b>"bot"</b>"#,
        r#"<input placeholder="a name" id=id>"#,
        r#"set(&button, "title", "copied");"#,
        r#"Some("Save")"#,
        r#"Err("That did not work.")"#,
        r#"format!("Message {name}")"#,
        r#"format!("{count} people.")"#,
        r#"label: "E-mail","#,
        r#"push("<p>not sent");"#,
        r#"push("\" aria-label=\"add a \
            reaction\">");"#,
        r#"let quote = '"'; push("Close")"#,
        r#"{address}", last seen "{moment}"#,
    ];
    for code in texts {
        let words: Vec<_> = literals(code).iter().flat_map(Literal::words).collect();
        assert_eq!(words.len(), 1, "{code}: {words:?}");
    }
    let others = [
        r#"<b class="row choice">{name}</b>"#,
        r#""<p class=\"empty__title\" title=\"{title}\">{{=lock}}{text}</p>""#,
        r#"fn key<'a>(key: &'a str) -> bool { key == "ArrowUp" || key == "Enter" }"#,
        r#"tracing::debug!(%error, "The socket was refused");"#,
        r#"frames! { cursor: Option<Seq> = "The last change.", }"#,
        r#"#[expect(clippy::panic, reason = "Nothing can go on here")]"#,
        r#"match name { "Android" => "icon icon--s", _ => ".rich a.mention" }"#,
    ];
    for code in others {
        let words: Vec<_> = literals(code).iter().flat_map(Literal::words).collect();
        assert!(words.is_empty(), "{code}: {words:?}");
    }
}

#[test]
fn the_map_is_small_and_every_file_says_its_job() {
    let sources = sources();
    assert!(sources.len() <= MAX_FILES, "{} files", sources.len());
    for source in &sources {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", source.path);
        assert!(source.text.starts_with("//! "), "{} does not say its job", source.path);
    }
}

#[test]
fn every_test_program_says_its_job() {
    let mut paths = Vec::new();
    collect(&root().join("tests"), &mut paths);
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say its job", path.display());
    }
}

#[test]
fn domain_imports_nothing_of_ours_and_does_no_io() {
    let foreign = [
        "crate::server",
        "crate::ui",
        "leptos",
        "sqlx",
        "tokio",
        "axum",
        "web_sys",
        "gloo",
        "rand::",
        "chrono",
        "std::fs",
        "std::net",
        "std::env",
        "std::time",
        "std::thread",
        "async ",
        "Mutex",
    ];
    let found = offences(&foreign, |path| !path.starts_with("src/domain/"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_of_the_domain_build_only_on_those_before_them() {
    let mut found = Vec::new();
    for source in sources() {
        let Some(name) = source.path.strip_prefix("src/domain/") else {
            continue;
        };
        let name = name.trim_end_matches(".rs");
        let Some(place) = DOMAIN_ORDER.iter().position(|file| *file == name) else {
            assert_eq!(name, "mod", "{name} has no place in the order");
            continue;
        };
        for (at, other) in DOMAIN_ORDER.iter().enumerate() {
            let imports = format!("super::{other}");
            let uses = source.code.lines().any(|line| {
                line.find(&imports).is_some_and(|start| {
                    !line[start + imports.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            });
            if at > place && uses {
                found.push(format!("{name} imports {other}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:?}; the order is {DOMAIN_ORDER:?}");
}

#[test]
fn imports_point_inwards() {
    let ui = offences(&["crate::server", "server::"], |path| !path.starts_with("src/ui/"));
    assert!(ui.is_empty(), "pages know no server: {ui:#?}");
    let inner = |path: &str| {
        ["store/", "writer/", "connections.rs", "rich_text.rs", "auth.rs", "operation.rs"]
            .iter()
            .any(|part| path.starts_with(&format!("src/server/{part}")))
    };
    let outer = ["super::http", "server::http", "crate::ui", "super::App", "super::socket"];
    let found = offences(&outer, |path| !inner(path));
    assert!(found.is_empty(), "{found:#?}");
    let http = offences(&["http::router", "server::http"], |path| {
        path.starts_with("src/server/http/") || path == "src/server/mod.rs"
    });
    assert!(http.is_empty(), "only the server mounts http: {http:#?}");
}

#[test]
fn only_the_store_contains_sql() {
    let sql = ["SELECT ", "INSERT INTO", "INSERT OR", "UPDATE ", "DELETE FROM", "PRAGMA ", "sqlx::query"];
    let found = offences(&sql, |path| path.starts_with("src/server/store/"));
    // Beginning and ending a transaction is the writer's own business.
    let found: Vec<_> = found
        .into_iter()
        .filter(|one| !(one.starts_with("src/server/writer/mod.rs") && one.ends_with("sqlx::query")))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    let mut built = offences(&["AssertSqlSafe", "format!(\"SELECT"], |_| false);
    // A run of messages goes in as rows of bound values: taking them out of JSON costs a tenth of
    // a post.
    built.extend(offences(&["QueryBuilder"], |path| path == "src/server/store/messages.rs"));
    assert!(built.is_empty(), "statements are literals with bound values: {built:#?}");
}

/// Statements of several lines are files of their own; each is read in exactly one place, by the file
/// of the store that it is named after.
#[test]
fn every_statement_file_is_read_by_the_file_it_is_named_after() {
    let mut read = Vec::new();
    for source in sources() {
        for part in source.code.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            if let Some(name) = part.strip_suffix(".sql") {
                let name = name.rsplit('/').next().unwrap().to_owned();
                let noun = name.split('_').next().unwrap().replace("store", "mod");
                assert_eq!(source.path, format!("src/server/store/{noun}.rs"), "{name} is named otherwise");
                read.push(name);
            }
        }
    }
    read.sort();
    let folder = fs::read_dir(root().join("src/server/store/sql")).unwrap();
    let mut files: Vec<_> =
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".sql", "")).collect();
    files.sort();
    assert_eq!(read, files, "a statement file is read once");
}

#[test]
fn features_are_chosen_in_one_place() {
    let found =
        offences(&["cfg(feature", "cfg(not(feature", "cfg_attr(feature"], |path| path == "src/lib.rs");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_config_reads_the_environment() {
    let found = offences(&["env::var", "env::args"], |path| path == "src/server/operation.rs");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_in_production_code_may_panic_on_purpose() {
    let panics = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "unreachable!(",
        "dbg!(",
        ".unwrap_unchecked(",
        "unsafe ",
    ];
    let found = offences(&panics, |_| false);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn names_say_what_a_thing_does() {
    let vague = [
        "Manager",
        "Service",
        "Handler",
        "Helper",
        "Util",
        "Utils",
        "Common",
        "Impl",
        "Processor",
        "Engine",
        "Coordinator",
        "EventBus",
        "Saga",
        "Orchestrator",
        "CircuitBreaker",
    ];
    let mut found = Vec::new();
    for source in sources() {
        let file = Path::new(&source.path).file_stem().unwrap().to_str().unwrap().to_owned();
        if ["util", "utils", "helper", "helpers", "common", "misc", "types", "manager"].contains(&&*file) {
            found.push(source.path.clone());
        }
        let words = words(&source.code);
        for pair in words.windows(2) {
            let declares = ["struct", "enum", "trait", "type", "mod", "macro_rules"].contains(&pair[0]);
            let name = pair[1];
            let numbered = name.ends_with("V2") || name.ends_with("2");
            if declares && (vague.iter().any(|ending| name.ends_with(ending)) || numbered) {
                found.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_outside_the_process_is_needed() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let crates: Vec<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(crates.contains(&"campfire") && crates.len() > 100, "the lock file is readable");
    let clients = [
        "redis",
        "fred",
        "deadpool-redis",
        "bb8-redis",
        "lapin",
        "amqprs",
        "rdkafka",
        "kafka",
        "nats",
        "async-nats",
        "rumqttc",
        "paho-mqtt",
        "memcache",
        "memcached",
        "async-memcached",
        "pulsar",
        "zeromq",
        "tonic",
        "sqlx-postgres-client",
        "tokio-postgres",
        "mysql_async",
        "mongodb",
        "etcd-client",
        "apalis",
        "sidekiq",
        "faktory",
        "aws-sdk-sqs",
    ];
    let found: Vec<_> = clients.iter().filter(|client| crates.contains(*client)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn released_migrations_are_never_changed() {
    let mut actual = BTreeMap::new();
    for entry in fs::read_dir(root().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        let hash = Sha256::digest(fs::read(&path).unwrap());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        actual.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), hash);
    }
    for (name, hash) in RELEASED_MIGRATIONS {
        assert_eq!(actual.remove(name).as_deref(), Some(hash), "{name} is not what was released");
    }
    assert!(actual.is_empty(), "add to the list of released migrations: {actual:?}");
}

#[test]
fn sockets_keep_their_small_buffers() {
    // The framework's defaults cost 134 kB for each socket and six times the processor time for
    // each delivery.
    let socket = fs::read_to_string(root().join("src/server/socket.rs")).unwrap();
    for kept in [
        "const READ_BUFFER: usize = 256;",
        ".read_buffer_size(READ_BUFFER)",
        "socket.get_mut().write_all(bytes)",
    ] {
        assert!(socket.contains(kept), "{kept}");
    }
}
