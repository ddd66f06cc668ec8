//! What messages carry of others: reactions gathered from boosts, excerpts of what they answer,
//! and the names of whom they mention.

use crate::{check, same};
use campfire::domain::account::UserRef;
use campfire::domain::composing::{MAX_NAMED, reactions};
use campfire::domain::message::{Draft, Quote, plain_body, rename_mentions};
use campfire::domain::{MessageId, UserId};
use campfire::server::rich_text::{Known, render};
use proptest::collection::vec;
use proptest::prelude::*;

fn user(id: i64) -> UserRef {
    UserRef { id: UserId::new(id), name: format!("n{id}") }
}

#[test]
fn reactions_hold_every_booster_once_in_the_order_of_coming() {
    let boosts = vec(("[ab👍]", 1..14_i64), 0..60);
    check(file!(), 256, &boosts, |boosts| {
        let given = boosts.iter().map(|(content, id)| (content.clone(), user(*id)));
        let shown = reactions(given);
        let mut firsts: Vec<&String> = Vec::new();
        for (content, _) in &boosts {
            if !firsts.contains(&content) {
                firsts.push(content);
            }
        }
        same(shown.iter().map(|one| &one.content).collect(), firsts, "what came first in front")?;
        for one in &shown {
            let mut people: Vec<i64> = Vec::new();
            for (_, id) in boosts.iter().filter(|(content, _)| *content == one.content) {
                if !people.contains(id) {
                    people.push(*id);
                }
            }
            same(one.user_ids.iter().map(|id| id.get()).collect(), people.clone(), "who")?;
            let names: Vec<String> = people.iter().take(MAX_NAMED).map(|id| user(*id).name).collect();
            same(&one.names, &names, "by name")?;
            let more = people.len().saturating_sub(MAX_NAMED);
            prop_assert_eq!(more > 0, one.who().contains("other"), "{}", one.who());
            prop_assert!(people.iter().all(|id| one.is_by(UserId::new(*id))));
        }
        Ok(())
    });
}

#[test]
fn an_excerpt_is_short_on_one_line_and_begins_the_message() {
    check(file!(), 256, &"[a-c \n\té👍]{0,400}", |body| {
        let quote = Quote::new(MessageId::new(1), user(1), (&body, ""));
        let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert!(quote.excerpt.chars().count() <= 141);
        match quote.excerpt.strip_suffix('…') {
            Some(start) => prop_assert!(words.starts_with(start) && words.len() > start.len()),
            None => prop_assert_eq!(&quote.excerpt, &words),
        }
        Ok(())
    });
}

#[test]
fn a_renamed_mention_is_what_rendering_it_anew_would_give() {
    let name = "[a-zé<>&'\"\u{a0}][a-zé<>&'\" ]{0,10}[a-z<>&]";
    let text = vec(prop_oneof!["[a-z <>&\n]{0,8}", Just("<@7>".into()), Just("<@8>".into())], 0..8);
    check(file!(), 256, &(text, name, name), |(text, old, new)| {
        let Ok(draft) = Draft::parse(&text.concat()) else {
            return Ok(());
        };
        let people = |name: &String| [UserRef { id: UserId::new(7), name: name.clone() }, user(8)];
        let shown = |name: &String| {
            let known = Known { people: &people(name), everyone: false, rooms: &[] };
            render(&draft, &known)
        };
        let (before, after) = (shown(&old), shown(&new));
        let [renamed, _] = people(&new);
        let html = rename_mentions(&before.html, &renamed).unwrap_or_else(|| before.html.clone());
        same(&html, &after.html, "the HTML")?;
        same(plain_body(before.source().to_owned(), &html), after.body, "the text")?;
        same(rename_mentions(&html, &renamed), None, "a second time changes nothing")
    });
}
