//! Random and damaged answers: whatever comes back, reading it ends within the bounds, without a
//! panic, and with a number that can be compared or words that can be shown.

use std::{
    env,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::{
    super::{fault::Fault, json as pointer, sample},
    application, drain, ok, probes, response,
};
use crate::{api::Sample, controller::Probe};

/// As many numbers as one likes from a seed, which is printed: a failed test shows it, and
/// `BLUEGREEN_SEED` gives it back.
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        let seed = match env::var("BLUEGREEN_SEED") {
            Ok(seed) => seed.parse().expect("BLUEGREEN_SEED is a whole number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                u64::from(now.subsec_nanos()) ^ now.as_secs()
            }
        };
        println!("BLUEGREEN_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    fn of<'a>(&mut self, all: &[&'a [u8]]) -> &'a [u8] {
        all[self.below(all.len())]
    }

    /// Some bytes are changed, torn out, doubled, or exchanged for what a parser looks for.
    fn damage(&mut self, body: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(body.len());
            let end = (at + self.below(16)).min(body.len());
            match self.below(5) {
                0 if at < body.len() => body[at] = self.next().to_le_bytes()[0],
                1 => drop(body.drain(at..end)),
                2 => {
                    let part = body[at..end].to_vec();
                    body.splice(at..at, part);
                }
                3 => body.truncate(at),
                _ => {
                    let token = self.of(TOKENS);
                    body.splice(at..end, token.iter().copied());
                }
            }
        }
    }
}

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"=",
    b"\n",
    b"\r",
    b"#",
    b" ",
    b"NaN",
    b"+Inf",
    b"-1",
    b"1e999",
    b"0.5",
    b"9007199254740993",
    b"18446744073709551616",
    b"null",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"{{{{{{{{",
    b"[[[[[[[[",
    b"a{b=\"c\"} 1\n",
    b"\"inFlight\":",
    b"\"n\":[",
    b"\xe2\x80\xae",
];

const BODIES: &[&[u8]] = &[
    br#"{"inFlight": 3, "n": [1, {"a": 2.0}], "served": 9}"#,
    b"# HELP a b\na{b=\"c\",d=\"e\\\"f\"} 1 17\na{b=\"g\"} 2\nserved_total 3.0E2 # {x=\"y\"} 1\n",
    b"",
];

const POINTERS: &[&str] = &["", "/inFlight", "/n/1/a", "/n/0", "/a~1b", "/~", "a", "/-"];

#[track_caller]
fn is_sound(read: Result<u64, Fault>, body: &[u8]) {
    match read {
        Ok(number) => assert!(number <= 1 << 53, "{number} from {body:?}"),
        Err(fault) => is_shown(&fault.into_failure().message),
    }
}

#[track_caller]
fn is_shown(message: &str) {
    assert!(message.len() < 1_000, "{message}");
    assert!(
        message.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{message:?}"
    );
}

#[test]
fn any_body_is_read_to_a_number_or_to_words() {
    let mut noise = Noise::new();
    let sample = |named| serde_json::from_value::<Sample>(named).unwrap();
    let samples = [
        sample(json!({ "name": "a" })),
        sample(
            json!({ "name": "a", "labels": { "b": "c" }, "except": { "d": ["e", "\u{202e}"] } }),
        ),
        sample(json!({ "name": "served_total", "labels": { "\u{1b}": "\n" } })),
        sample(json!({ "name": "" })),
    ];
    for turn in 0..5_000 {
        let body = if turn % 4 == 0 {
            noise.bytes(300)
        } else {
            let mut body = noise.of(BODIES).to_vec();
            noise.damage(&mut body);
            body
        };
        for at in POINTERS {
            is_sound(pointer::read(&body, at), &body);
        }
        for named in &samples {
            is_sound(sample::read(&body, named, 8080), &body);
        }
    }
}

/// The bodies that cost parsers most, each as large as an answer may be.
#[test]
fn the_largest_bodies_are_read_to_a_number_or_to_words() {
    const MOST: usize = 1024 * 1024;
    let labels = serde_json::from_value(json!({ "name": "a", "labels": { "b": "c" } })).unwrap();
    let units = [
        &b"[0],"[..],
        b"{\"n\":",
        b"\"n\":1,",
        b"a{",
        b"a 1\n",
        b"\n",
        b"b=\"c\",",
        b"\\\\",
    ];
    for unit in units {
        for start in [&b""[..], b"{\"n\":[", b"\"", b"a{b=\""] {
            let mut body = start.to_vec();
            while body.len() < MOST {
                body.extend_from_slice(unit);
            }
            body.truncate(MOST - 1);
            is_sound(pointer::read(&body, "/n/1"), &body[..64]);
            body.push(b'\n');
            is_sound(sample::read(&body, &labels, 8080), &body[..64]);
        }
    }
}

#[tokio::test]
async fn any_answer_over_http_ends_in_figures_or_in_words() {
    let mut noise = Noise::new();
    let next = Arc::new(Mutex::new(Vec::new()));
    let answer = next.clone();
    let (address, _serving) = application(move |_| answer.lock().unwrap().clone()).await;
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"i\r\n0\r\n\r\n";
    let whole = [
        ok(r#"{"inFlight": 3, "served": 9}"#),
        response("404 Not Found", "x: y\r\n", "<html>"),
        chunked.to_vec(),
    ];
    for _ in 0..300 {
        let mut damaged = whole[noise.below(whole.len())].clone();
        noise.damage(&mut damaged);
        *next.lock().unwrap() = damaged;
        if let Err(failure) = probes().read(address, &drain()).await {
            is_shown(&failure.message);
        }
    }
}
