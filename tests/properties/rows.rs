//! The list in the document: whatever rows there were and whatever there should be, the changes
//! between the two lead from one to the other, and touch nothing that stays as it is.

use crate::{check, same};
use campfire::domain::Timestamp;
use campfire::domain::message::ClientMessageId;
use campfire::domain::message::{Outgoing, Progress, Row, RowChange, RowContent, changes};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{TestCaseError, TestCaseResult};
use std::collections::BTreeSet;
use uuid::Uuid;

fn row(name: u8, (text, opens_day): (u8, bool)) -> Row {
    Row {
        content: RowContent::Outgoing(Outgoing {
            client_message_id: ClientMessageId::new(Uuid::from_u128(name.into())),
            body: text.to_string(),
            reply_to: None,
            created_at: Timestamp::from_ms(0),
            progress: Progress::Pending,
            attempts: 0,
            in_flight: false,
        }),
        follow: false,
        opens_day,
        opens_unread: text == 2,
    }
}

/// Up to 14 rows of 20 names, in any order, each in one of a few states.
fn list() -> impl Strategy<Value = Vec<Row>> {
    let names = subsequence((0..20_u8).collect::<Vec<_>>(), 0..14).prop_shuffle();
    let states = vec((0..3_u8, any::<bool>()), 14);
    (names, states)
        .prop_map(|(names, states)| names.into_iter().zip(states).map(|(n, s)| row(n, s)).collect())
}

/// Does to a list what the browser does to the document; fails where an element is missing.
fn applied(old: &[Row], steps: &[RowChange<'_>]) -> Result<Vec<Row>, TestCaseError> {
    let mut shown = old.to_vec();
    for step in steps {
        let place = |key: ClientMessageId| {
            let found = shown.iter().position(|row| row.key() == key);
            found.ok_or_else(|| TestCaseError::fail(format!("{key} is not there for {step:?}")))
        };
        match step {
            RowChange::Remove(key) => {
                let at = place(*key)?;
                shown.remove(at);
            }
            RowChange::Insert { rows, before } => {
                let at = before.map(place).transpose()?.unwrap_or(shown.len());
                shown.splice(at..at, rows.iter().cloned());
            }
            RowChange::Replace(row) => {
                let at = place(row.key())?;
                shown[at] = (*row).clone();
            }
        }
    }
    Ok(shown)
}

fn touched(steps: &[RowChange<'_>]) -> BTreeSet<ClientMessageId> {
    let keys = steps.iter().flat_map(|step| match step {
        RowChange::Remove(key) => vec![*key],
        RowChange::Insert { rows, .. } => rows.iter().map(Row::key).collect(),
        RowChange::Replace(row) => vec![row.key()],
    });
    keys.collect()
}

#[test]
fn prop_changes_turn_the_old_list_into_the_new_one() {
    check(file!(), 2_000, &(list(), list()), |(old, new)| {
        same(applied(&old, &changes(&old, &new))?, new, "after the changes")
    });
}

#[test]
fn prop_rows_that_stay_in_order_and_unchanged_are_left_alone() {
    let keep = vec(any::<bool>(), 14);
    check(file!(), 2_000, &(list(), keep.clone(), keep, list()), |(list, old, new, extra)| {
        let pick = |kept: &[bool]| -> Vec<Row> {
            list.iter().zip(kept).filter(|(_, kept)| **kept).map(|(row, _)| row.clone()).collect()
        };
        let (old, mut new) = (pick(&old), pick(&new));
        let known: BTreeSet<_> = list.iter().map(Row::key).collect();
        new.extend(extra.into_iter().filter(|row| !known.contains(&row.key())));
        let touched = touched(&changes(&old, &new));
        let unchanged = old.iter().filter(|row| new.contains(row));
        for row in unchanged {
            prop_assert!(!touched.contains(&row.key()), "{row:?} was touched");
        }
        Ok(())
    });
}

#[test]
fn an_edit_is_one_step_and_a_page_of_history_is_one_step() -> TestCaseResult {
    let old: Vec<Row> = (0..10).map(|name| row(name, (0, false))).collect();
    let mut edited = old.clone();
    edited[4] = row(4, (1, false));
    same(changes(&old, &edited), vec![RowChange::Replace(&edited[4])], "an edit")?;
    let longer: Vec<Row> = (0..10).map(|name| row(name + 100, (0, false))).chain(old.clone()).collect();
    let before = Some(old[0].key());
    let page = RowChange::Insert { rows: &longer[..10], before };
    same(changes(&old, &longer), vec![page], "a page above")?;
    same(changes(&old, &old), vec![], "nothing")
}
