//! The table of all measurements: which rows each gives, and which are for the long form only.
//!
//! Names are stable: results of different days are compared by them. A name on the command line
//! chooses the measurement with exactly that row, or else every row that begins with it.

use super::growth::{LARGE_ROOM, SMALL_ROOM};
use super::report::{Failure, Row};
use super::run::Run;
use super::seed::Shape;
use super::{browser, fanout, growth, memory, pages, posts, rendering, resume, search, sizes};
use campfire::server::operation::Durability;

/// Something that is measured in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// What to run.
    pub what: What,
    /// The rows it gives.
    pub rows: &'static [&'static str],
    /// Too long for the short form, unless it is named.
    pub long: bool,
}

/// Each measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// [`pages::warm`]
    Warm,
    /// [`pages::uncached`]
    Uncached,
    /// [`pages::others`]
    OtherPages,
    /// [`posts::posts`]
    Posts(Durability, usize),
    /// [`fanout::fanout`]
    Fanout(u32),
    /// [`resume::resume`]
    Resume,
    /// [`sizes::start`]
    Start,
    /// [`memory::idle`]
    Idle,
    /// [`memory::users`]
    Users,
    /// [`memory::sockets`]
    Sockets,
    /// [`memory::slope`]
    Slope,
    /// [`growth::rooms`]
    Rooms(Shape, &'static str),
    /// [`growth::history`]
    History,
    /// [`growth::posts`]
    GrowthOfPosts([(Shape, i64); 2], &'static str),
    /// [`pages::lists`]
    Lists,
    /// [`sizes::sizes`]
    Sizes,
    /// [`sizes::frame`]
    Frame,
    /// [`rendering::rendering`]
    Rendering,
    /// [`search::search`]
    Search(Shape, &'static [&'static str]),
    /// [`browser::team`]
    Browser,
}

const fn short(what: What, rows: &'static [&'static str]) -> Measurement {
    Measurement { what, rows, long: false }
}

const FULL: Durability = Durability::Full;
const NORMAL: Durability = Durability::Normal;

/// Searches in 200,000 and in 2,000,000 messages.
const SEARCH_200K: &[&str] =
    &["search-200k", "search-200k-rare", "search-200k-prefix", "search-200k-tickets", "search-200k-outsider"];
const SEARCH_2M: &[&str] =
    &["search-2m", "search-2m-rare", "search-2m-prefix", "search-2m-tickets", "search-2m-outsider"];

/// All of them, in the order in which they run.
pub const ALL: [Measurement; 30] = [
    short(What::Sizes, &["wasm-br", "css-br", "room-page-br", "room-page-identity", "binary"]),
    short(What::Frame, &["frame"]),
    short(What::Rendering, &["render-message", "render-longest"]),
    short(What::Start, &["start"]),
    short(What::Warm, &["page-warm", "page-warm-br"]),
    short(What::Uncached, &["page-uncached", "page-uncached-gzip", "page-uncached-br"]),
    short(What::OtherPages, &["page-older", "sidebar", "page-sign-in"]),
    short(What::Posts(FULL, 1), &["post-full-1", "post-full-1-p50", "post-full-1-p99"]),
    short(What::Posts(FULL, 16), &["post-full-16", "post-full-16-p50", "post-full-16-p99"]),
    short(What::Posts(FULL, 64), &["post-full-64", "post-full-64-p50", "post-full-64-p99"]),
    short(What::Posts(NORMAL, 1), &["post-normal-1", "post-normal-1-p50", "post-normal-1-p99"]),
    short(What::Posts(NORMAL, 16), &["post-normal-16", "post-normal-16-p50", "post-normal-16-p99"]),
    short(What::Posts(NORMAL, 64), &["post-normal-64", "post-normal-64-p50", "post-normal-64-p99"]),
    short(What::Fanout(100), &["fanout-100", "fanout-100-user", "fanout-100-kernel"]),
    short(
        What::Fanout(1_000),
        &[
            "fanout-1000",
            "fanout-1000-user",
            "fanout-1000-kernel",
            "fanout-1000-paced-p50",
            "fanout-1000-paced-p99",
            "fanout-page-p99",
        ],
    ),
    short(What::Fanout(5_000), &["fanout-5000", "fanout-5000-user", "fanout-5000-kernel"]),
    short(What::Resume, &["resume-1000"]),
    short(What::Idle, &["memory-idle"]),
    short(What::Users, &["memory-user"]),
    short(What::Sockets, &["memory-socket-1000", "memory-socket-5000"]),
    short(What::Slope, &["memory-slope"]),
    short(What::Rooms(Shape::Long, "growth-room-100k"), &["growth-room-100k"]),
    short(What::History, &["growth-history-depth"]),
    short(
        What::GrowthOfPosts(
            [(Shape::Office, SMALL_ROOM), (Shape::Company, SMALL_ROOM)],
            "growth-post-members",
        ),
        &["growth-post-members"],
    ),
    short(
        What::GrowthOfPosts([(Shape::Team, SMALL_ROOM), (Shape::Long, LARGE_ROOM)], "growth-post-history"),
        &["growth-post-history"],
    ),
    short(What::Lists, &["sidebar-500", "browser-sidebar-500-p50", "browser-sidebar-500-p95"]),
    short(
        What::Browser,
        &[
            "browser-first-paint",
            "browser-hydrated",
            "browser-switch-cached-p50",
            "browser-switch-cached-p95",
            "browser-switch-server-p50",
            "browser-switch-server-p95",
            "browser-enter-visible-p50",
            "browser-enter-visible-p95",
        ],
    ),
    short(What::Search(Shape::Busy, SEARCH_200K), SEARCH_200K),
    // Its seed alone takes a minute.
    Measurement { what: What::Rooms(Shape::Large, "growth-room-2m"), rows: &["growth-room-2m"], long: true },
    Measurement { what: What::Search(Shape::Large, SEARCH_2M), rows: SEARCH_2M, long: true },
];

/// The measurements that some names choose; all when there are none.
pub fn chosen(names: &[String], long: bool) -> Vec<Measurement> {
    let is_exact = |name: &String| ALL.iter().any(|m| m.rows.contains(&name.as_str()));
    let fits =
        |row: &str| names.iter().any(|name| if is_exact(name) { row == name } else { row.starts_with(name) });
    ALL.iter()
        .filter(|one| match names {
            [] => long || !one.long,
            _ => one.rows.iter().any(|row| fits(row)),
        })
        .copied()
        .collect()
}

impl Measurement {
    /// Measures.
    ///
    /// # Errors
    /// [`Failure`]; then no figure of it may be printed.
    pub async fn measure(&self, run: &Run) -> Result<Vec<Row>, Failure> {
        match self.what {
            What::Warm => pages::warm(run).await,
            What::Uncached => pages::uncached(run).await,
            What::OtherPages => pages::others(run).await,
            What::Posts(durability, writers) => posts::posts(run, durability, writers).await,
            What::Fanout(sockets) => fanout::fanout(run, sockets).await,
            What::Resume => resume::resume(run).await,
            What::Start => sizes::start(run).await,
            What::Idle => memory::idle(run).await,
            What::Users => memory::users(run).await,
            What::Sockets => memory::sockets(run).await,
            What::Slope => memory::slope(run).await,
            What::Rooms(shape, name) => growth::rooms(run, shape, name).await,
            What::History => growth::history(run).await,
            What::GrowthOfPosts(places, name) => growth::posts(run, places, name).await,
            What::Lists => pages::lists(run).await,
            What::Sizes => sizes::sizes(run).await,
            What::Frame => sizes::frame(run).await,
            What::Rendering => rendering::rendering(run),
            What::Search(shape, names) => search::search(run, shape, names).await,
            What::Browser => browser::team(run).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        chosen(&names, false).iter().map(|one| one.rows[0]).collect()
    }

    #[test]
    fn names_choose_exactly_or_by_their_beginning() {
        assert_eq!(rows(&["post-full-1"]), ["post-full-1"]);
        assert_eq!(rows(&["post-full"]), ["post-full-1", "post-full-16", "post-full-64"]);
        assert_eq!(rows(&["sidebar"]), ["page-older"]);
        assert_eq!(rows(&["growth-room-2m"]), ["growth-room-2m"]);
        assert_eq!(rows(&["nothing"]), [""; 0]);
        assert_eq!(chosen(&[], false).len(), ALL.len() - 2);
        assert_eq!(chosen(&[], true).len(), ALL.len());
    }
}
