//! A cursor comes back as it was sealed, only from the tenant that sealed it, and nothing else opens.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use sync_protocol::cursor::{Cursor, CursorError, CursorKey, Gaining};
use sync_protocol::id::TenantId;
use uuid::Uuid;

fn key() -> CursorKey {
    CursorKey::new([7; 32])
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(42))
}

fn cursors() -> impl Strategy<Value = Cursor> {
    (
        any::<u64>(),
        any::<[u64; 2]>(),
        btree_set(any::<u32>(), 0..60),
        vec((any::<u32>(), any::<u64>()), 0..6),
        any::<(bool, u32)>(),
        option::of((any::<u32>(), vec((any::<u32>(), any::<u64>()), 0..6))),
    )
        .prop_map(|(epoch, [seq, from], scopes, backfill, (first_sync, view), gaining)| Cursor {
            epoch,
            seq,
            from,
            scopes: scopes.into_iter().collect(),
            backfill,
            first_sync,
            view,
            gaining: gaining.map(|(since, scopes)| Gaining { since, scopes }),
        })
}

/// What a vector says that a cursor holds.
#[derive(serde::Deserialize)]
struct Golden {
    epoch: u64,
    seq: u64,
    from: u64,
    scopes: Vec<u32>,
    backfill: Vec<(u32, u64)>,
    first_sync: bool,
    view: u32,
    gaining: Option<GoldenGaining>,
    sealed: String,
}

#[derive(serde::Deserialize)]
struct GoldenGaining {
    since: u32,
    scopes: Vec<(u32, u64)>,
}

#[derive(serde::Deserialize)]
struct GoldenCursors {
    tenant: TenantId,
    cursors: Vec<Golden>,
}

#[test]
fn golden_cursors_are_sealed_and_opened_without_a_difference() {
    let golden: GoldenCursors = serde_json::from_str(include_str!("../vectors/cursor.json")).expect("a vector is JSON");
    let key = CursorKey::new(std::array::from_fn(|at| u8::try_from(at).expect("fewer than 256")));
    for Golden { epoch, seq, from, scopes, backfill, first_sync, view, gaining, sealed } in golden.cursors {
        let gaining = gaining.map(|GoldenGaining { since, scopes }| Gaining { since, scopes });
        let cursor = Cursor { epoch, seq, from, scopes, backfill, first_sync, view, gaining };
        assert_eq!(cursor.seal(&key, golden.tenant), sealed);
        assert_eq!(Cursor::open(&sealed, &key, golden.tenant), Ok(cursor));
    }
}

proptest! {
    #[test]
    fn opens_as_it_was_sealed(cursor in cursors()) {
        let text = cursor.seal(&key(), tenant());
        prop_assert_eq!(Cursor::open(&text, &key(), tenant()), Ok(cursor.clone()));
        prop_assert_eq!(text, cursor.seal(&key(), tenant()));
    }

    #[test]
    fn is_refused_by_another_tenant_and_under_another_key(cursor in cursors(), other in any::<[u8; 32]>()) {
        let text = cursor.seal(&key(), tenant());
        prop_assert_eq!(Cursor::open(&text, &key(), TenantId(Uuid::from_u128(43))), Err(CursorError::Forged));
        prop_assume!(other != [7; 32]);
        prop_assert_eq!(Cursor::open(&text, &CursorKey::new(other), tenant()), Err(CursorError::Forged));
    }

    #[test]
    fn is_refused_when_a_character_changed_or_is_missing(cursor in cursors(), at in any::<prop::sample::Index>()) {
        let text = cursor.seal(&key(), tenant());
        let mut altered = text.clone().into_bytes();
        let at = at.index(altered.len());
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII stays ASCII");
        prop_assert!(Cursor::open(&altered, &key(), tenant()).is_err());
        prop_assert!(Cursor::open(&text[..at], &key(), tenant()).is_err());
    }

    #[test]
    fn arbitrary_text_is_an_error_and_no_panic(text in "\\PC{0,200}") {
        prop_assert!(Cursor::open(&text, &key(), tenant()).is_err());
    }

    #[test]
    fn arbitrary_base64_is_an_error_and_no_panic(text in "[A-Za-z0-9_-]{0,400}") {
        prop_assert!(Cursor::open(&text, &key(), tenant()).is_err());
    }
}

#[test]
fn a_cursor_of_thirty_scopes_fits_a_hundred_characters() {
    let cursor = Cursor {
        epoch: 1,
        seq: 12_345_678,
        from: 12_345_600,
        scopes: (0..30).map(|n| 3 + n * 97).collect(),
        backfill: Vec::new(),
        first_sync: false,
        view: u32::MAX,
        gaining: None,
    };
    let text = cursor.seal(&key(), tenant());
    assert!(text.len() <= 100, "{} characters", text.len());
}

#[test]
fn scopes_are_sealed_sorted_and_once() {
    let cursor = Cursor {
        epoch: 1,
        seq: 1,
        from: 1,
        scopes: vec![9, 2, 9],
        backfill: Vec::new(),
        first_sync: false,
        view: 0,
        gaining: None,
    };
    let opened = Cursor::open(&cursor.seal(&key(), tenant()), &key(), tenant()).expect("sealed here");
    assert_eq!(opened.scopes, [2, 9]);
}

#[test]
fn a_cursor_of_a_newer_layout_names_it() {
    // The first three bytes are 2, 0, 0: layout 2.
    let text = format!("AgAA{}", "A".repeat(40));
    assert_eq!(Cursor::open(&text, &key(), tenant()), Err(CursorError::UnsupportedVersion { version: 2 }));
}

#[test]
fn an_overlong_text_is_refused_unread() {
    let text = "A".repeat(1 << 20);
    assert_eq!(Cursor::open(&text, &key(), tenant()), Err(CursorError::Malformed));
}

#[test]
fn a_key_hides_itself_in_logs() {
    assert_eq!(format!("{:?}", CursorKey::new([0x5a; 32])), "CursorKey(hidden)");
}

/// What is sealed now must open for as long as there are devices: a change here needs a new version byte.
#[test]
fn the_layout_is_frozen() {
    let cursor = Cursor {
        epoch: 1,
        seq: 300,
        from: 298,
        scopes: vec![1, 2, 200],
        backfill: vec![(200, 17)],
        first_sync: true,
        view: 7,
        gaining: None,
    };
    insta::assert_snapshot!(cursor.seal(&key(), tenant()), @"AQGsAgIDAQDFAQHIAREBB9D7V17irDp4fQLDd0nLqAk");
}
