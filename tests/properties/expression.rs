//! Sounds, emoji and boosts: what is recognised, over everything in the tables and over texts that
//! only look like it.

use crate::{check, same};
use campfire::domain::composing::{
    Boost, MAX_BOOST_BYTES, MAX_BOOST_CHARS, MAX_LARGE_EMOJI, QUICK_BOOSTS, is_only_emoji,
};
use campfire::domain::search::{Emoji, Sound, complete, played};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

const SOUNDS: &str = include_str!("../../public/en/sounds.tsv");
const EMOJI: &str = include_str!("../../public/en/emoji.tsv");

/// Every emoji of the table.
fn emoji() -> Vec<Emoji<'static>> {
    EMOJI.lines().filter_map(Emoji::parse).collect()
}

fn names(typed: &str, limit: usize) -> Vec<&'static str> {
    complete(EMOJI, typed, limit).into_iter().map(|one| one.name).collect()
}

#[test]
fn every_sound_has_a_file_of_its_own_and_a_caption() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/public/");
    let sounds: Vec<Sound> = SOUNDS.lines().map(|line| Sound::parse(line).unwrap()).collect();
    let known: BTreeSet<&str> = sounds.iter().map(|sound| sound.name).collect();
    assert_eq!((sounds.len(), known.len()), (56, 56));
    let mut total = 0;
    for sound in &sounds {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(sound.name.chars().all(plain), "{} is an address", sound.name);
        assert!(is_only_emoji(sound.emoji), "{}", sound.name);
        assert!((3..=40).contains(&sound.caption.len()), "{}", sound.caption);
        let size = std::fs::metadata(format!("{folder}{}", sound.path())).unwrap().len();
        assert!((1_000..=12_000).contains(&size), "{}: {size} bytes", sound.name);
        total += size;
    }
    assert!(total <= 450_000, "{total} bytes");
    assert_eq!(std::fs::read_dir(format!("{folder}sounds")).unwrap().count(), 56);
}

#[test]
fn a_sound_is_played_only_by_exactly_its_command() {
    let bell = played(SOUNDS, "/play bell").unwrap();
    assert_eq!((bell.name, bell.path().as_str()), ("bell", "sounds/bell.mp3"));
    for same in [" /play bell\n", "/play Bell", "/PLAY BELL"] {
        assert_eq!(played(SOUNDS, same), Some(bell), "{same:?}");
    }
    for text in [
        "",
        "/play",
        "/play ",
        "/playbell",
        "/play  bell",
        "/play bell tada",
        "/play bell!",
        "play bell",
        "say /play bell",
        "/play bel",
        "/play airhorn",
        "/play 🔔",
        "/play ../bell",
        "/play bell\t🔔",
        "/play bell\nHello",
        "//play bell",
        "/play\nbell",
        "/play bell.mp3",
    ] {
        assert_eq!(played(SOUNDS, text), None, "{text:?}");
    }
}

#[test]
fn prop_whatever_is_played_is_in_the_table() {
    let text = prop_oneof!["/play [a-z0-9./ \t]{0,12}", any::<String>(), "[/a-z \n]{0,14}"];
    check(file!(), 2_000, &text, |text| match played(SOUNDS, &text) {
        Some(sound) => {
            same(text.trim().to_lowercase(), format!("/play {}", sound.name), "nothing else")?;
            same(SOUNDS.contains(&format!("{}\t", sound.name)), true, "known")
        }
        None => Ok(()),
    });
    check(file!(), 200, &select(SOUNDS.lines().collect::<Vec<_>>()), |line| {
        let sound = Sound::parse(line).unwrap();
        same(played(SOUNDS, &format!("/play {}", sound.name)), Some(sound), "every one")
    });
}

#[test]
fn the_table_of_emoji_is_small_and_in_groups() {
    assert!(EMOJI.len() <= 110_000, "{} bytes", EMOJI.len());
    let groups = EMOJI.lines().filter(|line| !line.contains('\t')).count();
    let all = emoji();
    assert_eq!((groups, all.len() > 1_800), (9, true));
    assert!(!EMOJI.starts_with(all[0].text), "a title comes first");
    let distinct: BTreeSet<&str> = all.iter().map(|one| one.text).collect();
    assert_eq!(distinct.len(), all.len());
    for line in EMOJI.lines().filter(|line| line.contains('\t')) {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), 3, "{line}");
        let plain = |text: &str| text.is_ascii() && text.to_lowercase() == text;
        assert!(plain(columns[1]) && !columns[1].is_empty() && plain(columns[2]), "{line}");
        assert!(!line.contains(|c| ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)), "{line}: a skin tone");
    }
    for (quick, name) in QUICK_BOOSTS {
        assert!(distinct.contains(quick) && !name.is_empty(), "{quick}");
        assert_eq!(Boost::parse(quick).unwrap().content(), quick);
    }
}

#[test]
fn every_emoji_of_the_table_is_shown_large_and_can_be_a_boost() {
    for one in emoji() {
        assert!(is_only_emoji(one.text), "{} {:?}", one.text, one.text);
        assert!(is_only_emoji(&format!(" {} \n", one.text.repeat(MAX_LARGE_EMOJI))), "{}", one.text);
        assert!(!is_only_emoji(&one.text.repeat(MAX_LARGE_EMOJI + 1)), "{}", one.text);
        assert!(!is_only_emoji(&format!("{} a", one.text)), "{}", one.text);
        Boost::parse(&one.text.repeat(5)).unwrap();
    }
}

#[test]
fn emoji_in_every_form_are_shown_large() {
    for text in [
        "👍🏽",
        "❤️",
        "👨‍👩‍👧‍👦",
        "👩🏽‍❤️‍💋‍👨🏿",
        "🏳️‍🌈",
        "🏴‍☠️",
        "🇫🇷🇩🇪",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "1️⃣",
        "#️⃣*️⃣",
        "©️™️",
        "☝🏿",
        "👁️‍🗨️",
        "⛹🏽‍♀️",
        "👁‍🗨",
        "🐦‍🔥",
        "🅰️",
        "㊗️",
        "‼️",
        "⏱️",
        "↗️",
        "🧑‍🧑‍🧒‍🧒",
    ] {
        assert!(is_only_emoji(text), "{text}");
    }
    for text in [
        "",
        " ",
        "1",
        "12",
        "#",
        "*",
        "#1",
        "1\u{fe0f}",
        "©",
        "®",
        "™",
        "❤",
        "☎",
        "✔",
        "★",
        "→",
        "✓",
        "a\u{fe0f}",
        "a\u{200d}👍",
        "👍\u{200d}",
        "👍\u{200d}a",
        "👍 👍",
        "👍\n👍",
        "👍\u{fe0e}",
        "🇫",
        "🇫🇷🇩",
        "\u{fe0f}",
        "\u{200d}",
        "\u{20e3}",
        "é",
        "中",
        "ok 👍",
        "👍!",
        "①",
        "½",
        "☺",
        "𝒳",
        ":)",
    ] {
        assert!(!is_only_emoji(text), "{text:?}");
    }
    assert!(!is_only_emoji(&vec!["👨"; 5_000].join("\u{200d}")), "one picture without end");
}

#[test]
fn prop_emoji_stay_large_together_until_a_letter_joins_them() {
    let all: Vec<&str> = emoji().iter().map(|one| one.text).collect();
    let strategy = (vec(select(all), 1..=MAX_LARGE_EMOJI), any::<prop::sample::Index>());
    check(file!(), 1_000, &strategy, |(some, at)| {
        same(is_only_emoji(&some.concat()), true, "together")?;
        let mut spoilt = some.clone();
        spoilt.insert(at.index(some.len()), "a");
        same(is_only_emoji(&spoilt.concat()), false, "with a letter")
    });
    let plain = prop_oneof!["[ -~]{0,20}", "\\PC{0,5}[\\pL\\pN]\\PC{0,5}", "[☎✔★→•…«»°§¶†‰]{1,5}"];
    check(file!(), 2_000, &plain, |text| same(is_only_emoji(&text), false, "plain text"));
    check(file!(), 2_000, &any::<String>(), |text| {
        let large = is_only_emoji(&text);
        same(large && text.chars().any(char::is_alphabetic), false, "no letters")
    });
}

#[test]
fn names_are_completed_best_first() {
    assert_eq!(names("tada", 3)[0], "tada");
    assert_eq!(names(":JOY:", 2), ["joy", "joy_cat"]);
    assert_eq!(names("thumbs up", 1), ["thumbs_up"]);
    assert_eq!(names("+1", 1), ["+1"]);
    assert_eq!(complete(EMOJI, "+1", 1)[0].text, "👍");
    assert_eq!(names("plunder", 1), ["pirate_flag"], "by keyword");
    assert!(names("ocket", 9).contains(&"rocket"), "from the middle");
    for nothing in ["", ":", " ", "zzzz", "\t", "🎉"] {
        assert!(names(nothing, 5).is_empty(), "{nothing:?}");
    }
    assert!(names("a", 0).is_empty());
}

#[test]
fn prop_completion_is_ordered_bounded_and_finds_every_name() {
    let all = emoji();
    let strategy = (select(all), 1_usize..6, 1_usize..20);
    check(file!(), 500, &strategy, |(one, length, limit)| {
        let found = complete(EMOJI, one.name, limit);
        same(found.first().map(|first| first.name), Some(one.name), "a whole name finds it first")?;
        let typed: String = one.name.chars().take(length).collect();
        let found = complete(EMOJI, &typed, limit);
        same((1..=limit).contains(&found.len()), true, "bounded")?;
        let rank = |name: &str| usize::from(name != typed) + usize::from(!name.starts_with(&typed));
        same(found.is_sorted_by_key(|one| rank(one.name)), true, "names before words")?;
        let more = complete(EMOJI, &typed, limit + 5);
        same(more.starts_with(&found), true, "a longer list begins with the shorter one")
    });
    check(file!(), 500, &any::<String>(), |typed| {
        same(complete(EMOJI, &typed, 8).len() <= 8, true, "anything may be typed")
    });
}

#[test]
fn boosts_are_short_and_on_one_line() {
    for (text, content) in [
        (" 👍 ", "👍"),
        ("well done", "well done"),
        ("sixteen letters!", "sixteen letters!"),
        ("pre\u{301}sente, pre\u{301}sen", "pre\u{301}sente, pre\u{301}sen"),
    ] {
        assert_eq!(Boost::parse(text).unwrap().content(), content);
    }
    let families = "👨‍👩‍👧‍👦".repeat(10);
    assert_eq!(Boost::parse(&families).unwrap().content(), families, "ten, not seventy");
    assert!(Boost::parse(&"🇫🇷".repeat(16)).is_ok() && Boost::parse(&"🇫🇷".repeat(17)).is_err());
    for (text, message) in [
        ("", "Write something first."),
        (" \n ", "Write something first."),
        ("\u{200d}\u{2060}", "Write something first."),
        ("seventeen letters", "Use at most 16 characters."),
        ("a\nb", "Use plain characters on one line."),
        ("a\u{7}", "Use plain characters on one line."),
        ("a\u{2028}b", "Use plain characters on one line."),
    ] {
        assert_eq!(Boost::parse(text).unwrap_err().for_field("content"), Some(message), "{text:?}");
    }
    assert!(Boost::parse(&format!("e{}", "\u{301}".repeat(MAX_BOOST_BYTES))).is_err(), "a tower");
}

#[test]
fn prop_a_boost_is_accepted_exactly_within_its_limits() {
    let text = prop_oneof![any::<String>(), "[ a-z\n\u{7}]{0,20}", "[ \u{e9}\u{4e2d}👍]{0,20}"];
    check(file!(), 2_000, &text, |text| {
        let trimmed = text.trim();
        match Boost::parse(&text) {
            Ok(boost) => {
                same(boost.content(), trimmed, "trimmed, and nothing else")?;
                let one_line = !trimmed.chars().any(char::is_control);
                same(one_line && trimmed.len() <= MAX_BOOST_BYTES, true, "within its limits")?;
                same(Boost::parse(trimmed).ok(), Some(boost), "twice is once")
            }
            // Counting scalars is stricter than counting characters.
            Err(_) => {
                let short = trimmed.chars().count() <= MAX_BOOST_CHARS && trimmed.len() <= 64;
                let simple = trimmed.chars().all(|c| c.is_alphanumeric() || c == ' ');
                same(short && simple && !trimmed.is_empty(), false, "refused for a reason")
            }
        }
    });
}
