//! The search page: one field, filters to take away and to add, hits under the name of their room,
//! recent searches. Plain HTML, rendered by the server only.

use super::controls::{Avatar, Icon};
use super::people::moment;
use super::push_permalink;
use crate::domain::account::UserRef;
use crate::domain::room::RoomKind;
use crate::domain::search::MAX_QUERY;
use crate::domain::{MessageId, RoomId, Timestamp};
use leptos::prelude::*;

/// A hit as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownHit {
    /// The message.
    pub id: MessageId,
    /// Its room.
    pub room_id: RoomId,
    /// What the room is called.
    pub room_name: String,
    /// Who may be in the room.
    pub room_kind: RoomKind,
    /// Who wrote it.
    pub creator: UserRef,
    /// Where the words stand, as HTML.
    pub excerpt: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// The page.
#[component]
pub fn SearchPage(
    /// What was typed.
    text: String,
    /// Its filters, and the address without each.
    chips: Vec<(String, String)>,
    /// Filters it could have, and the address with each.
    more: Vec<(&'static str, String)>,
    /// What came of it, in a sentence; empty before anything was typed.
    verdict: String,
    /// The hits, newest first.
    hits: Vec<ShownHit>,
    /// The addresses of the newest hits and of older ones.
    around: (Option<String>, Option<String>),
    /// Addresses and texts of recent searches.
    recent: Vec<(String, String)>,
) -> impl IntoView {
    let chips = chips.into_iter().map(|(label, href)| {
        view! {
            <a class="hint" aria-current="true" href=href title="Remove this filter">
                <span class="visually-hidden">"Remove "</span><span dir="auto">{label}</span>
                <span aria-hidden="true">" ×"</span>
            </a>
        }
    });
    let more = more.into_iter().map(|(label, href)| {
        view! { <a class="hint" href=href>{label}</a> }
    });
    let guide = text.is_empty().then(|| view! { <Guide/> });
    // A heading for each run of hits of one room: the order stays that of time.
    let sections = hits.chunk_by(|a, b| a.room_id == b.room_id).map(|run| {
        view! { <Run hits=run.to_vec()/> }
    });
    let sections = sections.collect_view();
    let (newest, older) = around;
    let turn = |href: Option<String>, label: &'static str| {
        href.map(|href| view! { <a class="button button--s" href=href>{label}</a> })
    };
    view! {
        <div class="search-head" role="search">
            <form class="input-group" action="/searches" method="post">
                <Icon name="search" class="icon icon--s"/>
                <input class="input" type="search" name="q" aria-label="Search messages"
                    autofocus=text.is_empty() value=text autocomplete="off" dir="auto"
                    maxlength=MAX_QUERY.to_string()/>
                <button class="button button--primary" type="submit">"Search"</button>
            </form>
            <div class="hints">
                {chips.collect_view()}<span>"Narrow it:"</span>{more.collect_view()}
            </div>
        </div>
        {guide}
        <p class="small muted" role="status">{verdict}</p>
        {sections}
        <div class="button-row">{turn(newest, "Newest")}{turn(older, "Older messages")}</div>
        {(!recent.is_empty()).then(|| view! { <Recent recent=recent/> })}
    }
}

#[component]
fn Guide() -> impl IntoView {
    let rules = [
        ("\"exact words\"", "words in this order"),
        ("from:Ines", "written by somebody; with spaces: from:\"Ines Okafor\""),
        ("in:Design", "in one of your rooms"),
        ("before:2026-10-01", "earlier; a month or a year will do"),
        ("after:2026-10", "from then on"),
    ];
    let rules = rules.map(|(example, meaning)| {
        view! {
            <li class="row"><span class="row__main">
                <code class="row__name">{example}</code>
                <span class="row__note">{meaning}</span>
            </span></li>
        }
    });
    view! { <ul class="panel rows" aria-label="What can be searched for">{rules.collect_view()}</ul> }
}

#[component]
fn Run(hits: Vec<ShownHit>) -> impl IntoView {
    let first = hits.first().cloned();
    let count = hits.len();
    let count = if count == 1 { "1 message".to_owned() } else { format!("{count} messages") };
    let rows = hits.into_iter().map(|hit| {
        let mut href = String::new();
        push_permalink(&mut href, hit.room_id, hit.id);
        view! {
            <li class="result">
                <Avatar id=hit.creator.id name=hit.creator.name.clone()/>
                <div>
                    <div class="message__head">
                        <a class="message__author truncate result__link" dir="auto" href=href>
                            {hit.creator.name}
                        </a>
                        <span class="message__time">{moment(hit.created_at)}</span>
                    </div>
                    <p class="result__text" dir="auto" inner_html=hit.excerpt></p>
                </div>
            </li>
        }
    });
    let rows = rows.collect_view();
    first.map(|hit| {
        let id = format!("run-{}", hit.id);
        let labelled = id.clone();
        let icon = if hit.room_kind == RoomKind::Open { "hash" } else { "lock" };
        view! {
            <section class="section" aria-labelledby=labelled>
                <div class="section__head">
                    <h2 class="section__title" id=id>
                        <Icon name=icon class="icon icon--s"/><span dir="auto">{hit.room_name}</span>
                    </h2>
                    <span class="small muted">{count}</span>
                </div>
                <ul class="panel rows">{rows}</ul>
            </section>
        }
    })
}

#[component]
fn Recent(recent: Vec<(String, String)>) -> impl IntoView {
    let rows = recent.into_iter().map(|(href, text)| {
        view! {
            <li class="row">
                <Icon name="clock" class="icon icon--s"/>
                <span class="row__main"><span class="row__name">
                    <a class="row__link" dir="auto" href=href>{text}</a>
                </span></span>
            </li>
        }
    });
    view! {
        <section class="section" id="recent" aria-labelledby="recent-title">
            <div class="section__head">
                <h2 class="section__title" id="recent-title">"Recent searches"</h2>
                <form action="/searches/clear" method="post">
                    <button type="submit" class="button button--s button--plain">"Clear"</button>
                </form>
            </div>
            <ul class="panel rows">{rows.collect_view()}</ul>
        </section>
    }
}
