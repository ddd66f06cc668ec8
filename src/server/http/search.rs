//! The pages that gather from all rooms: what a search finds, and what concerns somebody. Plain
//! HTML, rendered by the server only: one field, filters to take away and to add, hits under the
//! name of their room, recent searches. Each page stands beside its handler.

use super::Answer;
use super::pages::quiet_page;
use super::request::{FormBody, JsonBody, Signed, Visitor};
use crate::domain::account::UserRef;
use crate::domain::error::Error;
use crate::domain::message::PAGE_SIZE;
use crate::domain::message::plain_text;
use crate::domain::room::{Activity, ActivityKind, RoomKind};
use crate::domain::search::{MAX_QUERY, Query};
use crate::domain::{MessageId, RoomId, Seq, Timestamp, push_escaped};
use crate::server::rich_text::excerpt;
use crate::server::store::search::Hit;
use crate::texts;
use crate::ui;
use crate::ui::controls::{Avatar, Icon, Mark};
use crate::ui::people::moment;
use crate::ui::push_permalink;
use axum::Json;
use axum::extract::Query as Asked;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use form_urlencoded::byte_serialize;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Hits on a page.
const HITS: usize = 25;

/// `GET /searches?q=`: any text at all is answered. `before` is the oldest hit of the page above;
/// `in` is a room to begin with.
/// Errors: [`Error::Unavailable`](crate::domain::error::Error::Unavailable).
pub(super) async fn search(
    by: Visitor,
    asked: Result<Asked<Vec<(String, String)>>, QueryRejection>,
) -> Answer {
    let asked = asked.map(|Asked(pairs)| pairs).unwrap_or_default();
    let value = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let viewer = by.viewer().id;
    let text: String = value("q").map_or("", |text| text.trim()).chars().take(MAX_QUERY).collect();
    if let Some(room_id) = value("in").filter(|_| text.is_empty()) {
        let rooms = by.app.load_sidebar(viewer).await?;
        let room = rooms.iter().find(|room| room.id.to_string() == *room_id);
        let room = room.filter(|room| room.kind != RoomKind::Direct);
        let filter = room.map(|room| format!("in:\"{}\"", room.name.replace('"', " ")));
        return Ok(Redirect::to(&address(&filter.unwrap_or_default(), None)).into_response());
    }
    let query = Query::parse(&text);
    let before = value("before").and_then(|id| id.parse().ok()).map(MessageId::new);
    let newest = MessageId::new(i64::MAX);
    let found = by.app.store.search(viewer, &query, before.unwrap_or(newest), HITS).await?;
    let older = found.hits.last().filter(|_| found.has_more);
    let older = older.map(|last| address(&text, Some(last.id)));
    let verdict = if text.is_empty() {
        String::new()
    } else if !query.asks_something() {
        texts::search::NO_WORD.to_owned()
    } else if !found.knows_people {
        texts::search::nobody_called(either(&query.people))
    } else if !found.knows_rooms {
        texts::search::no_room_called(either(&query.rooms))
    } else {
        count(found.hits.len(), (before.is_some(), found.has_more))
    };
    let chips = query.chips.iter();
    let chips = chips.map(|chip| (chip.label.clone(), address(&chip.rest, None))).collect();
    let recent = found.recent.into_iter().map(|text| (address(&text, None), text)).collect();
    let more = ["from:me", "has:link", "has:code", "has:mention"].into_iter();
    let more = more.filter(|filter| !query.chips.iter().any(|chip| chip.label == *filter));
    let more = more.map(|filter| (filter, address(&format!("{text} {filter}"), None))).collect();
    let newest = before.is_some().then(|| address(&text, None));
    let hits = found.hits.into_iter().map(|hit| shown(hit, &query)).collect();
    // Who has not said any word yet is about to.
    let begins = query.terms.is_empty() && before.is_none();
    let html = ui::fragment(move || {
        view! {
            <SearchPage text=text begins=begins chips=chips more=more verdict=verdict hits=hits
                around=(newest, older) recent=recent/>
        }
    });
    quiet_page(&by, (texts::search::TITLE, html)).await
}

#[derive(Deserialize)]
pub(super) struct SearchForm {
    #[serde(default)]
    q: String,
}

/// `POST /searches`: keeps what was searched for and leads to what it finds.
pub(super) async fn save_search(by: Visitor, FormBody(form): FormBody<SearchForm>) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    let text: String = form.q.trim().chars().take(MAX_QUERY).collect();
    if Query::parse(&text).asks_something() {
        by.app.writer.save_search(by.viewer().id, text.clone()).await?;
    }
    Ok(Redirect::to(&address(&text, None)).into_response())
}

/// `POST /searches/clear`.
pub(super) async fn clear_searches(by: Visitor) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.clear_searches(by.viewer().id).await?;
    Ok(Redirect::to("/searches").into_response())
}

fn address(text: &str, before: Option<MessageId>) -> String {
    let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
    match text.trim() {
        "" => "/searches".to_owned(),
        text => {
            format!("/searches?q={}{before}", byte_serialize(text.as_bytes()).collect::<String>())
        }
    }
}

fn either(names: &[String]) -> String {
    let joined = names.iter().cloned().reduce(texts::search::or);
    joined.unwrap_or_default()
}

fn count(hits: usize, (is_later_page, has_more): (bool, bool)) -> String {
    match (hits, is_later_page) {
        (0, false) => texts::search::NOTHING.to_owned(),
        (0, true) => texts::search::NOTHING_OLDER.to_owned(),
        (_, true) => texts::search::older_hits(hits),
        (_, false) if has_more => texts::search::newest_hits(hits),
        _ => texts::search::hits(hits),
    }
}

fn shown(hit: Hit, query: &Query) -> ShownHit {
    let excerpt = excerpt(&plain_text(&hit.body_html), query);
    let Hit { id, room_id, room_name, room_kind, creator, created_at, .. } = hit;
    ShownHit { id, room_id, room_name, room_kind, creator, excerpt, created_at }
}

/// A hit as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownHit {
    id: MessageId,
    room_id: RoomId,
    room_name: String,
    room_kind: RoomKind,
    creator: UserRef,
    excerpt: String,
    created_at: Timestamp,
}

/// The page.
#[component]
pub(super) fn SearchPage(
    /// What was typed.
    text: String,
    /// Whether to go on typing at once.
    begins: bool,
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
        let remove = texts::search::remove(&label);
        view! {
            <a class="hint" aria-current="true" href=href aria-label=remove
                title=texts::search::REMOVE_FILTER>
                <span dir="auto">{label}</span>
                <span aria-hidden="true">" ×"</span>
            </a>
        }
    });
    let more = more.into_iter().map(|(label, href)| {
        view! { <a class="hint" href=href>{label}</a> }
    });
    let guide = text.is_empty().then(|| view! { <Guide/> });
    // Ready for a word after the filters.
    let typed = if begins && chips.len() > 0 { text + " " } else { text };
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
                <input class="input" type="search" name="q" aria-label=texts::search::SEARCH_MESSAGES
                    autofocus=begins value=typed autocomplete="off" dir="auto"
                    maxlength=MAX_QUERY.to_string()/>
                <button class="button button--primary" type="submit">{texts::search::TITLE}</button>
            </form>
            <div class="hints">
                {chips.collect_view()}<span>{texts::search::NARROW}</span>{more.collect_view()}
            </div>
        </div>
        {guide}
        <p class="small muted" role="status">{verdict}</p>
        {sections}
        <div class="button-row">{turn(newest, texts::search::NEWEST)}{turn(older, texts::search::OLDER)}</div>
        {(!recent.is_empty()).then(|| view! { <Recent recent=recent/> })}
    }
}

#[component]
fn Guide() -> impl IntoView {
    let spaces = format!("from:\"{}\"", texts::search::EXAMPLE_FULL_NAME);
    let rules = [
        (format!("\"{}\"", texts::search::EXAMPLE_WORDS), texts::search::RULE_WORDS.to_owned()),
        (format!("from:{}", texts::search::EXAMPLE_NAME), texts::search::rule_from(spaces)),
        (format!("in:{}", texts::search::EXAMPLE_ROOM), texts::search::RULE_IN.to_owned()),
        ("before:2026-10-01".to_owned(), texts::search::RULE_BEFORE.to_owned()),
        ("after:2026-10".to_owned(), texts::search::RULE_AFTER.to_owned()),
    ];
    let rules = rules.map(|(example, meaning)| {
        view! {
            <li class="row"><span class="row__main">
                <code class="row__name">{example}</code>
                <span class="row__note">{meaning}</span>
            </span></li>
        }
    });
    view! { <ul class="panel rows" aria-label=texts::search::GUIDE>{rules.collect_view()}</ul> }
}

#[component]
fn Run(hits: Vec<ShownHit>) -> impl IntoView {
    let first = hits.first().cloned();
    let count = texts::search::messages(hits.len());
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
        let icon = match hit.room_kind {
            RoomKind::Open => "hash",
            RoomKind::Closed => "lock",
            RoomKind::Direct => "user",
        };
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
                <h2 class="section__title" id="recent-title">{texts::search::RECENT}</h2>
                <form action="/searches/clear" method="post">
                    <button type="submit" class="button button--s button--plain">
                        {texts::search::CLEAR}
                    </button>
                </form>
            </div>
            <ul class="panel rows">{rows.collect_view()}</ul>
        </section>
    }
}

#[derive(Deserialize)]
pub(super) struct Part {
    before: Option<Seq>,
}

/// A page of what concerns somebody.
#[derive(Serialize)]
pub(super) struct ActivityPage {
    activity: Vec<Activity>,
    has_more: bool,
}

async fn load_activity(
    by: &Signed,
    query: Result<Asked<Part>, QueryRejection>,
) -> Result<ActivityPage, Error> {
    let Asked(wanted) = query.map_err(|_| Error::Malformed(texts::errors::ACTIVITY_QUERY))?;
    // One more than wanted tells whether there are more.
    let read = by.app.store.list_activity(by.viewer().id, wanted.before, PAGE_SIZE + 1);
    let mut activity = read.await?;
    let has_more = activity.len() > PAGE_SIZE;
    activity.truncate(PAGE_SIZE);
    Ok(ActivityPage { activity, has_more })
}

/// `GET /api/activity?before=`
pub(super) async fn list_activity(
    by: Signed,
    query: Result<Asked<Part>, QueryRejection>,
) -> Result<Json<ActivityPage>, Error> {
    load_activity(&by, query).await.map(Json)
}

/// `GET /activity?before=`
pub(super) async fn activity(by: Visitor, query: Result<Asked<Part>, QueryRejection>) -> Answer {
    let ActivityPage { activity, has_more } = load_activity(&by, query).await?;
    let rooms = by.app.load_rooms(by.viewer().id).await?;
    let rooms: HashMap<RoomId, String> = rooms.into_iter().map(|room| (room.id, room.name)).collect();
    let html = ui::fragment(move || {
        view! { <ActivityList activity=activity rooms=rooms has_more=has_more/> }
    });
    quiet_page(&by, (texts::activity::TITLE, html)).await
}

fn marked(before: &str, text: &str, after: &str) -> String {
    let mut html = before.to_owned();
    push_escaped(&mut html, text);
    html + after
}

/// What concerns the viewer, newest first.
#[component]
pub(super) fn ActivityList(
    /// What happened.
    activity: Vec<Activity>,
    /// What the viewer's rooms are called.
    rooms: HashMap<RoomId, String>,
    /// Whether there is more below.
    has_more: bool,
) -> impl IntoView {
    if activity.is_empty() {
        return view! {
            <div class="empty">
                <Mark/>
                <h2 class="empty__title">{texts::activity::NOTHING_YET}</h2>
                <p class="empty__text">{texts::activity::ABOUT}</p>
            </div>
        }
        .into_any();
    }
    let seen = activity.first().map(|one| one.seq.get().to_string());
    let older = activity.last().filter(|_| has_more);
    let older = older.map(|last| format!("/activity?before={}", last.seq.get()));
    let unread = activity.iter().any(|one| one.unread);
    let rows = activity.into_iter().map(|one| {
        let room = rooms.get(&one.room_id).map(String::as_str).unwrap_or_default();
        let (person, room) = (marked("<bdi>", &one.user.name, "</bdi>"), marked("<bdi>", room, "</bdi>"));
        let what = match one.kind {
            ActivityKind::Mention => texts::activity::mentioned(person, room),
            ActivityKind::Reply => texts::activity::replied(person, room),
            ActivityKind::Boost => {
                let reaction = marked("", one.content.as_deref().unwrap_or_default(), "");
                texts::activity::reacted(person, reaction, room)
            }
        };
        let (room_id, id) = (one.room_id, one.message_id);
        view! {
            <li class="row">
                <Avatar id=one.user.id name=one.user.name.clone() class="avatar avatar--s"/>
                <a class="row__main" href=format!("/rooms/{room_id}/@{id}#m-{id}")>
                    <span class="row__name" inner_html=what></span>
                    <span class="row__note truncate" dir="auto">{one.excerpt}</span>
                </a>
                <span class="row__end">
                    {one.unread.then(|| view! {
                        <span class="tag tag--ok">{texts::activity::NEW}</span>
                    })}
                    <span class="row__note">{moment(one.created_at)}</span>
                </span>
            </li>
        }
    });
    view! {
        <ul class="panel rows" id="activity" data-seen=seen.clone()>{rows.collect_view()}</ul>
        <div class="button-row">
            {unread.then(|| view! {
                <form class="without-scripts" action="/activity/seen" method="post">
                    <input type="hidden" name="seen" value=seen/>
                    <button class="button" type="submit">{texts::activity::MARK_SEEN}</button>
                </form>
            })}
            {older.map(|older| view! {
                <a class="button button--plain" href=older>{texts::activity::OLDER}</a>
            })}
        </div>
    }
    .into_any()
}

#[derive(Deserialize)]
pub(super) struct SeenForm {
    seen: Seq,
}

/// `PUT /api/activity/seen`
pub(super) async fn put_seen(by: Signed, JsonBody(form): JsonBody<SeenForm>) -> Result<StatusCode, Error> {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.see_activity(by.viewer().id, form.seen).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /activity/seen`: for browsers without scripts.
pub(super) async fn see_activity(by: Visitor, FormBody(form): FormBody<SeenForm>) -> Answer {
    by.app.auth.allow_post(by.viewer().id)?;
    by.app.writer.see_activity(by.viewer().id, form.seen).await?;
    Ok(Redirect::to("/activity").into_response())
}
