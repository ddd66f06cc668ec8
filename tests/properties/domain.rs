//! Examples of the rules in `domain`, file by file; what holds for everything is a property beside
//! them.

mod account {
    use campfire::domain::account::*;
    use campfire::domain::{InviteId, Timestamp, UserId};

    #[test]
    fn every_broken_field_is_named() {
        let error = NewUser::parse(" ", "nobody", "short").map(|_| ()).unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["name", "email_address", "password"]);
    }

    #[test]
    fn addresses_are_compared_in_lower_case() {
        let user = NewUser::parse(" David ", " David@Example.COM ", "a long password").unwrap();
        assert_eq!((user.name.as_str(), user.email_address.as_str()), ("David", "david@example.com"));
    }

    #[test]
    fn a_profile_names_every_broken_field() {
        let long = "x".repeat(201);
        let error = Profile::parse("", "nobody", &long).unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["name", "email_address", "bio"]);
        assert_eq!(Profile::parse("D", "d@e.f", " two\r\nlines ").unwrap().bio, "two\nlines");
    }

    #[test]
    fn an_invite_ends_by_time_by_use_or_by_hand() {
        let now = Timestamp::from_ms(1_000);
        let creator = UserRef { id: UserId::new(1), name: "David".into() };
        let open = Invite {
            id: InviteId::new(1),
            code: "AAAA-BBBB-CCCC".into(),
            creator,
            uses: 1,
            max_uses: None,
            expires_at: None,
            revoked_at: None,
            created_at: now,
        };
        assert!(open.is_open(now));
        assert!(!Invite { max_uses: Some(1), ..open.clone() }.is_open(now));
        assert!(!Invite { expires_at: Some(now), ..open.clone() }.is_open(now));
        assert!(!Invite { revoked_at: Some(now), ..open }.is_open(now));
        assert!(InviteTerms::parse(2, 0).is_err() && InviteTerms::parse(7, 3).is_err());
    }
}

mod room {
    use campfire::domain::account::UserRef;
    use campfire::domain::error::Error;
    use campfire::domain::room::*;
    use campfire::domain::{MessageId, UserId};
    use std::collections::BTreeSet;

    #[test]
    fn a_direct_key_ignores_order_and_repetition() {
        let [one, two, ten] = [1, 2, 10].map(UserId::new);
        assert_eq!(direct_key([ten, two, one, two]), "1,2,10");
        assert_eq!(direct_key([one, two, ten]), direct_key([ten, one, two]));
        assert_ne!(direct_key([one, two]), direct_key([one, ten]));
    }

    fn named(name: &str, topic: &str) -> Result<NewRoom, Error> {
        NewRoom::parse(RoomKind::Open, name, topic, BTreeSet::new())
    }

    #[test]
    fn names_and_topics_are_trimmed_and_bounded() {
        let room = named("  Design ", " Tides ").unwrap();
        assert_eq!((room.name.as_str(), room.topic.as_str()), ("Design", "Tides"));
        assert!(named(&"x".repeat(80), &"x".repeat(200)).is_ok());
        for wrong in ["", "  ", "two\nlines", &"x".repeat(81)] {
            assert_eq!(named(wrong, "").unwrap_err().fields()[0].field, "name");
        }
        for wrong in ["two\nlines", &"x".repeat(201)] {
            assert_eq!(named("Design", wrong).unwrap_err().fields()[0].field, "topic");
        }
    }

    #[test]
    fn a_direct_room_is_called_by_the_others() {
        let user = |id, name: &str| UserRef { id: UserId::new(id), name: name.to_owned() };
        assert_eq!(direct_name(&[], "Noor Haddad"), "Noor Haddad");
        assert_eq!(direct_name(&[user(2, "Teo Almeida")], "Noor"), "Teo Almeida");
        let two = [user(2, "Teo Almeida"), user(3, "Jun Watanabe")];
        assert_eq!(direct_name(&two, "Noor"), "Teo, Jun");
    }

    #[test]
    fn the_bell_leads_through_every_level_and_back() {
        use Involvement::{Everything, Invisible, Mentions, Nothing};
        let cycle = [Mentions, Everything, Nothing, Invisible, Mentions];
        for pair in cycle.windows(2) {
            assert_eq!(pair[0].next_in(RoomKind::Closed), pair[1]);
        }
        assert_eq!(Everything.next_in(RoomKind::Direct), Nothing);
        assert_eq!(Nothing.next_in(RoomKind::Direct), Everything);
    }

    #[test]
    fn unread_means_somebody_else_wrote_after_the_read_cursor() {
        let (david, jason) = (UserId::new(1), UserId::new(2));
        let last = Some(LastMessage { id: MessageId::new(7), creator_id: jason });
        let read = |id: i64| {
            let last_read = Some(MessageId::new(id)).filter(|id| id.get() > 0);
            Membership { last_read, ..Membership::default() }
        };
        assert!(read(0).is_unread(last, david));
        assert!(read(6).is_unread(last, david));
        assert!(!read(7).is_unread(last, david));
        assert!(!read(0).is_unread(last, jason), "one's own words are read");
        assert!(!read(0).is_unread(None, david));
        let marked = |at: i64| Membership { marked: Some(MessageId::new(at)), ..read(5) };
        assert!(marked(7).is_unread(last, jason), "marked after the own words");
        assert!(!marked(6).is_unread(last, jason), "spoken after it was marked");
        assert!(!Membership { last_read: Some(MessageId::new(7)), ..marked(7) }.is_unread(last, jason));
    }
}

mod message {
    use campfire::domain::message::*;

    #[test]
    fn a_draft_counts_characters_after_trimming() {
        assert_eq!(Draft::parse("  hi \n").unwrap().body(), "hi");
        assert_eq!(Draft::parse("a\r\nb\rc\u{0}").unwrap().body(), "a\nb\nc");
        assert!(Draft::parse(&"🔥".repeat(10_000)).is_ok());
        assert!(Draft::parse(&format!(" {} ", "a".repeat(10_000))).is_ok());
        for wrong in ["", " \n\t ", "\u{7}", "\u{200b}\u{200f}", &"a".repeat(10_001), &" ".repeat(65_537)] {
            assert_eq!(Draft::parse(wrong).unwrap_err().fields()[0].field, "body");
        }
    }

    #[test]
    fn mentions_are_names_again_when_they_are_read() {
        let html = r#"<p><span class="mention" data-user="7">@O&amp;M &lt;x&gt;</span></p>"#;
        let plain = |source: &str| plain_body(source.to_owned(), html);
        assert_eq!(plain("hi <@7>, <@8> <@"), "hi @O&M <x>, <@8> <@");
        assert_eq!(plain("<@7><@7>"), "@O&M <x>@O&M <x>");
    }

    #[test]
    fn a_client_id_is_a_uuid() {
        let text = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(ClientMessageId::parse(text).unwrap().to_string(), text);
        assert!(ClientMessageId::parse("next").is_err());
    }
}

mod event {
    use campfire::domain::event::*;
    use campfire::domain::{RoomId, Seq};

    #[test]
    fn frames_are_tagged_by_type_in_snake_case() {
        let frame = ClientFrame::OpenRoom { room_id: RoomId::new(7), cursor: Some(Seq::new(3)) };
        let json = serde_json::to_string(&frame).unwrap();
        assert_eq!(json, r#"{"type":"open_room","room_id":7,"cursor":3}"#);
        assert_eq!(ClientFrame::parse(&json).unwrap(), Some(frame));
        assert_eq!(serde_json::to_string(&ServerFrame::Pong).unwrap(), r#"{"type":"pong"}"#);
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_options_are_none() {
        let frame = ClientFrame::parse(r#"{"type":"hello","protocol":1,"colour":"red"}"#).unwrap();
        let expected = ClientFrame::Hello { protocol: 1, incarnation: None, room_id: None, cursor: None };
        assert_eq!(frame, Some(expected));
        assert_eq!(ClientFrame::parse(r#"{"type":"wave"}"#).unwrap(), None);
        assert!(ClientFrame::parse(r#"{"type":"read"}"#).is_err());
    }
}

mod values {
    use campfire::domain::account::{device_name, hue, initials};
    use campfire::domain::search::sort;
    use campfire::domain::*;

    #[test]
    fn times_print_and_parse_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_795_000_000_001, "2026-11-18T11:06:40.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_ms(ms).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_ms(ms)));
        }
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+01:00"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sorting_is_the_librarys_order() {
        for length in [0_u64, 1, 2, 5, 24, 133, 700] {
            // Multiplying by an odd number shuffles.
            let shuffled: Vec<u64> = (0..length).map(|n| n.wrapping_mul(0x9e37_79b9) % 257).collect();
            let (mut ours, mut theirs) = (shuffled.clone(), shuffled);
            sort(&mut ours, Ord::cmp);
            theirs.sort_unstable();
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        for day in -146_097..146_097 {
            let midnight = Timestamp::from_ms(day * 86_400_000);
            assert_eq!(Timestamp::parse(&midnight.to_string()), Some(midnight));
        }
    }

    #[test]
    fn initials_come_from_the_first_and_last_word() {
        for (name, two) in [
            ("Noor Haddad", "NH"),
            ("bastian von hohenfels", "bh"),
            ("Owl", "O"),
            ("  (the) \"Owl\" ", "tO"),
            ("4 you", "4y"),
            ("عمر حدّاد", "عح"),
            ("שרה לוי", "של"),
            ("Лена Соколова", "ЛС"),
            ("E\u{301}mile Zola", "E\u{301}Z"),
            ("किरण देसाई", "किदे"),
            ("山田太郎", "山"),
            ("山田 太郎", "山"),
            ("김민준", "김"),
            ("👩\u{200d}🚀 Ada", "👩\u{200d}🚀A"),
            ("👍\u{1f3fd}", "👍\u{1f3fd}"),
            ("🇸🇪🇳🇴 x", "🇸🇪x"),
            ("\u{202e}evil name", "en"),
            ("!", "!"),
        ] {
            assert_eq!(initials(name, 2), two, "{name}");
        }
        assert_eq!(initials("Noor Haddad", 1), "N");
        assert_eq!(initials("", 2), "");
    }

    #[test]
    fn browsers_are_named_in_words() {
        let linux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(device_name(linux), "Firefox on Linux");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/604";
        assert_eq!(device_name(phone), "Safari on iPhone");
        let edge = "Mozilla/5.0 (Windows NT 10.0) Chrome/130 Safari/537.36 Edg/130.0";
        assert_eq!(device_name(edge), "Edge on Windows");
        assert_eq!(device_name(""), "A program");
    }

    #[test]
    fn neighbours_differ_in_hue() {
        let hues: std::collections::BTreeSet<_> = (1..=10).map(|id| hue(UserId::new(id))).collect();
        assert_eq!(hues.len(), 10);
    }
}

mod sidebar {
    use campfire::domain::account::UserRef;
    use campfire::domain::event::*;
    use campfire::domain::room::{Involvement, RoomKind};
    use campfire::domain::room::{SidebarRoom, Waiting};
    use campfire::domain::search::{folded, found, rank};
    use campfire::domain::{MessageId, RoomId, UserId};
    use std::cmp::Ordering;

    fn room(id: i64, name: &str) -> SidebarRoom {
        SidebarRoom {
            id: RoomId::new(id),
            name: name.to_owned(),
            kind: RoomKind::Open,
            topic: String::new(),
            people: vec![],
            last_message_id: None,
            last_read_message_id: None,
            unread: false,
            mentions: 0,
            involvement: Involvement::Mentions,
            starred: false,
            hidden: false,
            online: false,
        }
    }

    fn by_name(a: &str, b: &str) -> Ordering {
        a.to_lowercase().cmp(&b.to_lowercase())
    }

    fn user(id: i64, name: &str) -> UserRef {
        UserRef { id: UserId::new(id), name: name.to_owned() }
    }

    #[test]
    fn unread_follows_the_newest_fact_in_any_order() {
        let mut sidebar = Sidebar::new(vec![room(1, "All Talk")], vec![], 0);
        let all_talk = RoomId::new(1);
        let count = |sidebar: &Sidebar| {
            let Waiting { unread, personal } = sidebar.waiting();
            (unread, personal)
        };
        sidebar.activity(all_talk, MessageId::new(4), true);
        sidebar.activity(all_talk, MessageId::new(5), true);
        assert_eq!(count(&sidebar), (true, 2));
        sidebar.read(all_talk, MessageId::new(4), 1);
        assert_eq!(count(&sidebar), (true, 1), "an older read mark does not hide newer messages");
        sidebar.read(all_talk, MessageId::new(5), 0);
        sidebar.activity(all_talk, MessageId::new(5), true);
        assert_eq!(count(&sidebar), (false, 0), "late news of a read message is no news");
        sidebar.activity(all_talk, MessageId::new(7), false);
        sidebar.spoken(all_talk, MessageId::new(8));
        assert_eq!(count(&sidebar), (false, 0), "one's own words are read");
    }

    #[test]
    fn muted_rooms_wait_for_nobody_and_invisible_ones_go() {
        let mut sidebar = Sidebar::new(vec![room(1, "All Talk")], vec![], 0);
        let muted = SidebarRoom { involvement: Involvement::Nothing, ..room(1, "All Talk") };
        sidebar.upsert_room(muted, by_name);
        sidebar.activity(RoomId::new(1), MessageId::new(4), true);
        assert_eq!(sidebar.waiting(), Waiting::default());
        let invisible = SidebarRoom { involvement: Involvement::Invisible, ..room(1, "All Talk") };
        sidebar.upsert_room(invisible, by_name);
        assert_eq!(sidebar.rooms(), []);
    }

    #[test]
    fn typing_is_named_and_goes_stale() {
        let mut sidebar = Sidebar::default();
        sidebar.typing(user(2, "Teo Almeida"), true, 0);
        sidebar.typing(user(1, "Mara Lindqvist"), true, 1_000);
        assert_eq!(sidebar.typing_line().as_deref(), Some("Mara and Teo are typing"));
        assert!(sidebar.sweep_typing(5_500));
        assert_eq!(sidebar.typing_line().as_deref(), Some("Mara is typing"));
        sidebar.presence(user(1, "Mara Lindqvist"), (false, 1), by_name);
        assert_eq!(sidebar.typing_line(), None);
    }

    #[test]
    fn people_who_are_not_named_are_counted() {
        let mut sidebar = Sidebar::new(vec![], vec![user(1, "David")], 3);
        assert_eq!(sidebar.online_count(), 3);
        sidebar.presence(user(7, "Zoe"), (false, 2), by_name);
        assert_eq!(sidebar.online_count(), 2);
        sidebar.presence(user(1, "David"), (true, 2), by_name);
        assert_eq!(sidebar.online_count(), 2, "late news of somebody who is counted already");
        sidebar.presence(user(1, "David"), (false, 1), by_name);
        sidebar.presence(user(8, "Kevin"), (true, 2), by_name);
        assert_eq!((sidebar.online_count(), sidebar.online().len()), (2, 1));
    }

    #[test]
    fn rooms_and_people_are_sorted_by_name() {
        let mut sidebar = Sidebar::new(vec![room(1, "watercooler")], vec![user(1, "jason")], 1);
        sidebar.upsert_room(room(2, "Designers"), by_name);
        sidebar.presence(user(2, "David"), (true, 2), by_name);
        sidebar.presence(user(2, "David"), (true, 2), by_name);
        let rooms: Vec<_> = sidebar.rooms().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(rooms, ["Designers", "watercooler"]);
        let online: Vec<_> = sidebar.online().iter().map(|user| user.name.as_str()).collect();
        assert_eq!(online, ["David", "jason"]);
    }

    #[test]
    fn a_room_marked_unread_stays_so_until_it_is_read() {
        let (id, seen) = (RoomId::new(1), MessageId::new(2));
        let mut sidebar = Sidebar::new(vec![room(1, "All Talk")], vec![], 0);
        sidebar.activity(id, MessageId::new(5), true);
        sidebar.seen(id);
        let entry = |sidebar: &Sidebar| sidebar.room(id).unwrap().clone();
        assert_eq!(entry(&sidebar).last_read_message_id, Some(MessageId::new(5)));
        sidebar.unread(id, seen, 1);
        assert!(entry(&sidebar).unread);
        assert_eq!((entry(&sidebar).last_read_message_id, entry(&sidebar).mentions), (Some(seen), 1));
        sidebar.read(id, MessageId::new(5), 0);
        assert!(!entry(&sidebar).unread);
        sidebar.unread(id, MessageId::new(5), 0);
        assert!(!entry(&sidebar).unread, "nothing comes after that");
        // An entry from before this device's last reading.
        let last_message_id = Some(MessageId::new(5));
        let late = SidebarRoom { unread: true, last_message_id, ..room(1, "All Talk") };
        sidebar.upsert_room(late, by_name);
        assert!(!entry(&sidebar).unread);
        assert_eq!(entry(&sidebar).last_read_message_id, Some(MessageId::new(5)));
    }

    #[test]
    fn names_are_found_without_case_and_marks() {
        for (text, plain) in [
            ("Ångström", "angstrom"),
            ("Straße ÆØÐ ŁÓDŹ ŒÞ", "strasse aeod lodz oeth"),
            ("e\u{301}T\u{308}", "et"),
            ("İstanbul Nguyễn Ỹ × ÷", "istanbul nguyen y × ÷"),
            ("日本 #1 🏕", "日本 #1 🏕"),
        ] {
            assert_eq!(folded(text), plain);
        }
        let name = "Bastian-Maximilian von Hohenfels";
        for (wanted, expected) in [
            ("", Some(0)),
            ("  BAST ", Some(0)),
            ("höhen", Some(1)),
            ("von max", Some(1)),
            ("bmvh", Some(2)),
            ("b m", Some(1)),
            ("imilia", Some(3)),
            ("zz", None),
            ("mvh", None),
        ] {
            assert_eq!(rank(name, wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn what_waits_and_what_was_spoken_in_last_is_found_first() {
        let spoken = |id: i64, unread| {
            let last_message_id = Some(MessageId::new(id));
            SidebarRoom { last_message_id, unread, ..room(id, &format!("Design {id}")) }
        };
        let rooms = [room(9, "Redesign"), spoken(1, false), spoken(3, false), spoken(2, true)];
        let order = |wanted| found(&rooms, wanted).iter().map(|(_, r)| r.id.get()).collect::<Vec<_>>();
        assert_eq!(order(""), [2, 3, 1, 9]);
        assert_eq!(order("design"), [2, 3, 1, 9]);
        assert_eq!(order("rede"), [9]);
        assert_eq!(order("zzz"), [0; 0]);
    }
}
