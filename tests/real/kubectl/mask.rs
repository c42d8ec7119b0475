//! Takes out of what kubectl says what cannot be the same twice: ids, times, versions.

use regex::Regex;

/// What is masked, and by what.
const MASKS: &[(&str, &str)] = &[
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "UID",
    ),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}", "TIME"),
    (r#"(resourceVersion"?: )"?\d+"?"#, "${1}VERSION"),
    (r"(Resource Version:)\s+\d+", "${1} VERSION"),
    // Ages in tables.
    (r"(\s)\d+[smhd](\d+[smh])?(\s|$)", "${1}AGE${3}"),
    // Where the server is, and where kubectl keeps what it compares.
    (r"https?://127\.0\.0\.1:\d+(/token/\w+)?", "SERVER"),
    (r"/\S*/(LIVE|MERGED)-\d+", "/$1"),
    // `kubectl wait` ends its watches before the loop that watches: which of the two hears of its
    // timeout first is a matter of chance, and the loop says so.
    (
        r#"E\d{4} [^\n]*reflector\.go:\d+\] "Failed to watch" err="context deadline exceeded"[^\n]*\n"#,
        "",
    ),
    // The widths of columns follow from the ages in them.
    (r"[ \t]{2,}", "  "),
    (r"[ \t]+\n", "\n"),
];

/// What a command said, in a form that can be compared.
pub(super) fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, by) in MASKS {
        let pattern = Regex::new(pattern).expect("the patterns are constants");
        text = pattern.replace_all(&text, *by).into_owned();
    }
    text
}
