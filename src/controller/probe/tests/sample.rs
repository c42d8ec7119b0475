//! Numbers by samples of Prometheus' text format.

use serde_json::{Value, json};

use super::super::{fault::Fault, sample};

fn read(body: &str, named: Value) -> Result<u64, Fault> {
    let named = serde_json::from_value(named).unwrap();
    sample::read(body.as_bytes(), &named, 8080)
}

#[track_caller]
fn refused(body: &str, named: Value, words: &[&str]) {
    let failure = read(body, named).unwrap_err().into_failure();
    for word in words {
        assert!(failure.message.contains(word), "{body} {word}: {failure:?}");
    }
}

const BODY: &str = r#"# HELP hits_total Hits of all kinds.
# TYPE hits_total counter
hits_total{code="200",uri="/a"} 3
hits_total{code="200",uri="/health"} 400.0
hits_total{code="500",uri="/a"} 1 1700000000000
hits_total_created{code="200",uri="/a"} 1.7e9
busy 2
  spaced {  code = "1" , } 	5
"#;

#[test]
fn the_samples_of_the_name_are_added_up() {
    for (named, sum) in [
        (json!({ "name": "hits_total" }), 404),
        (
            json!({ "name": "hits_total", "labels": { "code": "200" } }),
            403,
        ),
        (
            json!({ "name": "hits_total", "labels": { "code": "200", "uri": "/a" } }),
            3,
        ),
        (
            json!({ "name": "hits_total", "except": { "uri": ["/other", "/health"] } }),
            4,
        ),
        (
            json!({ "name": "hits_total", "except": { "uri": ["/health"], "code": ["500"] } }),
            3,
        ),
        (
            json!({ "name": "hits_total", "except": { "uri": ["/health", "/a"] } }),
            0,
        ),
        (
            json!({ "name": "hits_total", "labels": { "absent": "" } }),
            404,
        ),
        (json!({ "name": "busy" }), 2),
        (json!({ "name": "spaced", "labels": { "code": "1" } }), 5),
    ] {
        assert_eq!(read(BODY, named.clone()), Ok(sum), "{named}");
    }
}

#[test]
fn a_name_or_labels_that_no_sample_has_are_refused() {
    refused(
        BODY,
        json!({ "name": "hits" }),
        &[
            "with sample hits finds no sample of that name",
            "beginning \"# HELP",
        ],
    );
    refused(
        BODY,
        json!({ "name": "hits_total", "labels": { "uri": "/b" } }),
        &[
            "finds 3 samples of that name and none with {uri=\\\"/b\\\"}",
            "correct the labels",
        ],
    );
    refused(
        "<html>\n",
        json!({ "name": "hits" }),
        &["finds no sample", "<html>"],
    );
}

#[test]
fn labels_are_read_as_they_are_escaped() {
    let body = "a{path=\"C:\\\\x\\\"y\\nz\",b=\"},{\"} 1\na{path=\"é\"} 2\na{\"q.r\"=\"s\"} 4\n";
    for (labels, number) in [
        (json!({ "path": "C:\\x\"y\nz" }), 1),
        (json!({ "b": "},{" }), 1),
        (json!({ "path": "é" }), 2),
        (json!({ "q.r": "s" }), 4),
    ] {
        assert_eq!(
            read(body, json!({ "name": "a", "labels": labels })),
            Ok(number)
        );
    }
}

#[test]
fn the_port_can_be_in_a_label() {
    let body = "busy{name=\"http-nio-8080\"} 1\nbusy{name=\"http-nio-9404\"} 2\n";
    let named = json!({ "name": "busy", "labels": { "name": "http-nio-{{port}}" } });
    assert_eq!(read(body, named), Ok(1));
}

#[test]
fn open_metrics_are_read_too() {
    let body = "# TYPE a counter\na_total{b=\"c\"} 7.0 1.7 # {trace_id=\"x y\"} 0.5 1.7\na_total 1 # {} 1\n# EOF\n";
    assert_eq!(read(body, json!({ "name": "a_total" })), Ok(8));
    assert_eq!(read("a 1\r\n", json!({ "name": "a" })), Ok(1));
}

#[test]
fn a_line_of_the_name_is_understood_whole_or_refused() {
    for line in [
        "a",
        "a ",
        "a{",
        "a{}",
        "a{b} 1",
        "a{b=} 1",
        "a{b=\"c} 1",
        "a{b=\"c\"",
        "a{b=\"c\" d=\"e\"} 1",
        "a{b=\"\\x\"} 1",
        "a{b=\"1\",b=\"2\"} 1",
        "a{=\"1\"} 1",
        "a one",
        "a 1 x",
        "a 1 2 3",
        "a 1x",
        "a 0x10",
        "a{b='c'} 1",
        "a{,} 1",
    ] {
        let body = format!("z 1\n{line}\n");
        let failure = read(&body, json!({ "name": "a" }))
            .unwrap_err()
            .into_failure();
        let known = ["is not understood", "finds no sample"];
        assert!(
            known.iter().any(|words| failure.message.contains(words)),
            "{line}: {failure:?}"
        );
    }
}

#[test]
fn a_value_that_cannot_be_compared_is_refused() {
    for (value, words) in [
        ("NaN", "is NaN, which is not a number"),
        ("+Inf", "infinite"),
        ("-Inf", "infinite"),
        ("-1", "is -1, which is negative"),
        ("-1.0", "negative"),
        ("0.5", "is 0.5, which is not a whole number"),
        ("9007199254740993", "above 2^53"),
        ("9.007199254740993E15", "above 2^53"),
        ("1e400", "infinite"),
    ] {
        refused(
            &format!("b 1\na {value}\n"),
            json!({ "name": "a" }),
            &[words],
        );
        // One that is left out does not matter.
        let body = format!("a{{b=\"x\"}} {value}\na 3\n");
        let named = json!({ "name": "a", "except": { "b": ["x"] } });
        assert_eq!(read(&body, named), Ok(3));
    }
    for (value, number) in [
        ("1.28E2", 128),
        ("+3", 3),
        ("-0.0", 0),
        ("9007199254740992", 1 << 53),
    ] {
        assert_eq!(
            read(&format!("a {value}\n"), json!({ "name": "a" })),
            Ok(number)
        );
    }
    let half = "4503599627370497";
    let two = format!("a{{b=\"1\"}} {half}\na{{b=\"2\"}} {half}\n");
    refused(&two, json!({ "name": "a" }), &["above 2^53"]);
}

#[test]
fn a_body_that_is_cut_in_a_line_is_none() {
    let whole = "a 12\nb 34\n";
    for length in 0..whole.len() {
        // At the end of a line only the length of the answer tells, which HTTP checks.
        if !whole[..length].ends_with('\n') {
            let cut = &whole[..length];
            refused(cut, json!({ "name": "a" }), &["finds no end of line"]);
        }
    }
}

#[test]
fn lines_and_samples_are_limited() {
    refused(
        &"b 1\n".repeat(100_001),
        json!({ "name": "a" }),
        &["more than 100000 lines"],
    );
    refused(
        &"a 1\n".repeat(10_001),
        json!({ "name": "a" }),
        &["more than 10000 samples"],
    );
    assert_eq!(
        read(&"a 1\n".repeat(10_000), json!({ "name": "a" })),
        Ok(10_000)
    );
    let labels: Vec<String> = (0..65).map(|number| format!("l{number}=\"\"")).collect();
    refused(
        &format!("a{{{}}} 1\n", labels.join(",")),
        json!({ "name": "a" }),
        &["not understood"],
    );
}
