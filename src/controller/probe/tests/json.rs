//! Numbers by JSON Pointer.

use super::super::{fault::Fault, json};

fn read(body: &str, pointer: &str) -> Result<u64, Fault> {
    json::read(body.as_bytes(), pointer)
}

#[track_caller]
fn refused(body: &str, pointer: &str, words: &str) {
    let failure = read(body, pointer).unwrap_err().into_failure();
    assert!(
        failure.message.contains(words),
        "{body} {pointer}: {failure:?}"
    );
    assert!(
        failure
            .message
            .contains(&format!("with pointer \"{pointer}\" ")),
        "{failure:?}"
    );
}

#[test]
fn a_pointer_finds_its_number() {
    let rfc = r#"{"foo": ["bar", 4], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "k\"l": 6, " ": 7, "m~n": 8, "~1": 9, "0": 10}"#;
    for (body, pointer, number) in [
        (rfc, "/foo/1", 4),
        (rfc, "/", 0),
        (rfc, "/a~1b", 1),
        (rfc, "/c%d", 2),
        (rfc, "/e^f", 3),
        (rfc, "/k\"l", 6),
        (rfc, "/ ", 7),
        (rfc, "/m~0n", 8),
        (rfc, "/~01", 9),
        (rfc, "/0", 10),
        ("12", "", 12),
        (" 12\n", "", 12),
        (r#"{"\u0061": 5}"#, "/a", 5),
        (
            r#"{"b": [1, {"a": 3}], "a": [[], {"a": {"b": 2}}]}"#,
            "/a/1/a/b",
            2,
        ),
        (r#"{"n": 3.0}"#, "/n", 3),
        (r#"{"n": 1.5e3}"#, "/n", 1_500),
        (r#"{"n": -0.0}"#, "/n", 0),
        (r#"{"n": 9007199254740992}"#, "/n", 1 << 53),
    ] {
        assert_eq!(read(body, pointer), Ok(number), "{body} {pointer}");
    }
}

#[test]
fn a_number_that_cannot_be_compared_is_refused() {
    refused(r#"{"n": -1}"#, "/n", "is -1, which is negative");
    refused(r#"{"n": -1.0}"#, "/n", "negative");
    refused(r#"{"n": 1.5}"#, "/n", "is 1.5, which is not a whole number");
    refused(
        r#"{"n": 9007199254740993}"#,
        "/n",
        "is 9007199254740993, which is above 2^53",
    );
    refused(r#"{"n": 9007199254740993.0}"#, "/n", "above 2^53");
    refused(r#"{"n": 18446744073709551616}"#, "/n", "above 2^53");
    refused(r#"{"n": 1e300}"#, "/n", "is 1e300, which is above 2^53");
    refused(r#"{"n": 1e999}"#, "/n", "not whole JSON");
    refused(r#"{"n": NaN}"#, "/n", "not whole JSON");
    refused(r#"{"n": "3"}"#, "/n", "names a string, not a number");
    refused(r#"{"n": null}"#, "/n", "names null, not a number");
    refused(r#"{"n": true}"#, "/n", "names a boolean, not a number");
    refused(r#"{"n": {}}"#, "/n", "names an object, not a number");
    refused(r#"{"n": [1]}"#, "/n", "names a list, not a number");
}

#[test]
fn a_pointer_into_nothing_shows_what_is_there() {
    for (body, pointer) in [
        (r#"{"in_flight": 3}"#, "/inFlight"),
        ("[1, 2]", "/2"),
        ("[1, 2]", "/-"),
        ("[1, 2]", "/01"),
        ("[1, 2]", "/+1"),
        ("[1, 2]", "/one"),
        (r#"{"a": 1}"#, "/a/b"),
        ("{}", "/a"),
    ] {
        refused(body, pointer, "names nothing in the answer, beginning \"");
    }
    refused(r#"{"in_flight": 3}"#, "/inFlight", r#"{\"in_flight\": 3}"#);
}

#[test]
fn an_ambiguous_answer_is_refused() {
    refused(r#"{"n": 1, "n": 2}"#, "/n", "ambiguous");
    refused(r#"{"a": {"n": 1}, "a": {}}"#, "/a/n", "ambiguous");
    // Elsewhere it does not matter.
    assert_eq!(read(r#"{"x": 1, "x": 2, "n": 3}"#, "/n"), Ok(3));
}

#[test]
fn a_text_that_is_no_pointer_is_refused() {
    for pointer in ["a", "/~", "/~2", "/a~", &"/a".repeat(17)] {
        let failure = read("{}", pointer).unwrap_err().into_failure();
        assert!(
            failure.message.contains("is not a JSON Pointer"),
            "{failure:?}"
        );
    }
    read(r#"{"a": 1}"#, &"/a".repeat(16)).unwrap_err();
}

#[test]
fn a_deep_answer_is_refused_before_it_is_read() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        refused(&nested(65), "/a", "nested deeper than 64");
        refused(&nested(100_000), "/a", "nested deeper than 64");
        read(&nested(64), "/b").unwrap_err();
    }
    let text = format!(r#"{{"s": "\"{}", "n": 1}}"#, "[".repeat(1_000));
    assert_eq!(read(&text, "/n"), Ok(1));
}

#[test]
fn json_that_is_cut_at_any_byte_or_goes_on_is_none() {
    let whole = r#"{"a": [1, {"b": "\u00e9"}], "n": 12}"#;
    assert_eq!(read(whole, "/n"), Ok(12));
    for length in 0..whole.len() {
        refused(&whole[..length], "/n", "not whole JSON");
    }
    refused(&format!("{whole} x"), "/n", "not whole JSON");
    refused(&format!("{whole}{whole}"), "/n", "not whole JSON");
}
