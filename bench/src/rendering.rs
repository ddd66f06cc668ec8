//! What making HTML of a message costs, in this process: it is a function of the text alone, and
//! the benchmark is linked with the product's own.
//!
//! `render-message` are short messages as a team writes them, each with a name, a link or a word in
//! bold; `render-longest` is the worst of all messages of the largest size that `heavy` makes.

use super::heavy::{PIECES, bodies};
use super::report::{Budget, Failure, Row, wrong};
use super::run::Run;
use campfire::domain::UserId;
use campfire::domain::account::UserRef;
use campfire::domain::message::Draft;
use campfire::server::rich_text::{Known, render, sanitize};
use std::hint::black_box;
use std::time::Instant;

/// Messages in each round.
const MESSAGES: u32 = 5_000;
const USUAL: [&str; 4] = [
    "Who wants a coffee after the standup now?",
    "@Nina Weber can you look at https://example.org/reports/7 before noon?",
    "**Release** is out, thanks to everybody who helped :)",
    "It is `cargo test --release`, then the same on the *other* machine",
];

/// `render-message` and `render-longest`. What a message became must be what the sanitiser leaves
/// as it is.
///
/// # Errors
/// [`Failure`] when it is not, or a text is no message.
pub fn rendering(run: &Run) -> Result<Vec<Row>, Failure> {
    let people = [UserRef { id: UserId::new(7), name: "Nina Weber".to_owned() }];
    let known = Known { people: &people, everyone: true, rooms: &[] };
    let usual = USUAL.map(Draft::parse).into_iter().collect::<Result<Vec<_>, _>>();
    let usual = usual.or_else(|error| wrong(error.to_string()))?;
    for draft in &usual {
        let rendered = render(draft, &known);
        if sanitize(&rendered.html) != rendered.html {
            return wrong(format!("not as the sanitiser leaves it: {}", rendered.html));
        }
    }
    let (mut each, mut longest) = (Vec::new(), Vec::new());
    let mut slowest = "";
    for _ in 0..run.rounds {
        let started = Instant::now();
        for _ in 0..MESSAGES {
            for draft in &usual {
                black_box(render(black_box(draft), &known));
            }
        }
        let messages = f64::from(MESSAGES) * usual.len() as f64;
        each.push(started.elapsed().as_secs_f64() * 1e6 / messages);
        let mut worst = 0.0;
        for piece in PIECES {
            // What is nothing but spaces is no message.
            for draft in bodies(piece).iter().filter_map(|body| Draft::parse(body).ok()) {
                let started = Instant::now();
                black_box(render(black_box(&draft), &known));
                let took = started.elapsed().as_secs_f64() * 1e3;
                if took > worst {
                    (worst, slowest) = (took, piece);
                }
            }
        }
        longest.push(worst);
    }
    Ok(vec![
        Row::new("render-message", "us", each),
        Row::new("render-longest", "ms", longest)
            .budget(Budget::AtMost(50.0))
            .note(format!("10,000 characters made of {slowest:?}")),
    ])
}
