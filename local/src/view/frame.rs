//! Pictures and lines of snapshots: pure functions.

use std::fmt::Write as _;

use super::{Requests, Row, Snapshot};

/// How long a countdown's bar is, in characters.
const BAR: usize = 12;
/// A countdown with more seconds than this has a full bar.
const BAR_SECONDS: f64 = 60.0;
/// Narrower than this, lines are not made.
const NARROWEST: usize = 40;

/// A picture for a terminal of this width: some lines, none of them longer.
#[must_use]
pub fn frame(snapshot: &Snapshot, width: usize) -> Vec<String> {
    let Snapshot {
        method,
        position: (position, count),
        scale,
        elapsed,
        message,
        hosts,
        requests,
    } = snapshot;
    let mut lines = vec![
        format!("{position}/{count}  {method}   {elapsed:.0} s   ({scale} times as fast)"),
        format!("     {message}"),
        String::new(),
    ];
    for row in hosts {
        lines.extend(host(row));
    }
    lines.push(String::new());
    lines.push(traffic(requests));
    let width = width.max(NARROWEST);
    let cut = |line: String| match line.char_indices().nth(width) {
        Some((end, _)) => line[..end].to_owned(),
        None => line,
    };
    lines.into_iter().map(cut).collect()
}

fn host(row: &Row) -> [String; 2] {
    let Row {
        id,
        target,
        processes,
        in_flight,
        done,
        doing,
        left,
    } = row;
    let processes = if processes.is_empty() {
        "no process".to_owned()
    } else {
        processes.join(" + ")
    };
    let what = match left {
        Some(left) => format!("{doing} {} {:.0} s", bar(*left), left.max(0.0)),
        None => doing.clone(),
    };
    [
        format!("{id}  {target:<10} {processes:<22} {in_flight:>3} in flight"),
        format!("     {:<44} {what}", done.join(" > "))
            .trim_end()
            .to_owned(),
    ]
}

fn bar(left: f64) -> String {
    let share = (left / BAR_SECONDS).clamp(0.0, 1.0);
    // At most BAR, as the share is at most one.
    let full = (share * BAR as f64).ceil() as usize;
    "#".repeat(full) + &".".repeat(BAR - full)
}

fn traffic(requests: &Requests) -> String {
    let Requests {
        served,
        failed,
        in_flight,
        served_per_second,
        failed_per_second,
    } = requests;
    format!(
        "requests: {served} served ({served_per_second:.1}/s), {failed} failed \
         ({failed_per_second:.1}/s), {in_flight} in flight"
    )
}

/// A line for each thing that differs from the snapshot before. Counts alone are no change.
#[must_use]
pub fn changes(before: &Snapshot, now: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str| {
        let mut line = format!("{:<18}{:>6.1} s  {what}", now.method, now.elapsed);
        let Requests { served, failed, .. } = now.requests;
        let _ = write!(line, "  [{served} served, {failed} failed]");
        lines.push(line);
    };
    if before.message != now.message && !now.message.is_empty() {
        say(&now.message);
    }
    for (index, row) in now.hosts.iter().enumerate() {
        let earlier = before.hosts.get(index).cloned().unwrap_or_default();
        if earlier.target != row.target || earlier.processes != row.processes {
            let processes = row.processes.join(" + ");
            say(&format!("{}: {}, runs {processes}", row.id, row.target));
        }
        if earlier.done != row.done || earlier.doing != row.doing {
            let done = row.done.last().map_or("", String::as_str);
            let doing = match row.left {
                Some(left) => format!("{} ({left:.0} s)", row.doing),
                None => row.doing.clone(),
            };
            let words: Vec<&str> = [done, &doing]
                .into_iter()
                .filter(|w| !w.is_empty())
                .collect();
            say(&format!("{}: {}", row.id, words.join(", ")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            method: "deregister-wait",
            position: (5, 6),
            scale: 10.0,
            elapsed: 12.34,
            message: "host 1 of 3".to_owned(),
            hosts: vec![Row {
                id: "i-0abc".to_owned(),
                target: "draining".to_owned(),
                processes: vec!["1.7.3".to_owned()],
                in_flight: 2,
                done: vec!["deregistered".to_owned()],
                doing: "wait target-deregistered".to_owned(),
                left: Some(15.0),
            }],
            requests: Requests {
                served: 100,
                failed: 1,
                in_flight: 7,
                served_per_second: 8.26,
                failed_per_second: 0.0,
            },
        }
    }

    #[test]
    fn a_frame_shows_targets_steps_countdowns_and_requests() {
        let expected = [
            "5/6  deregister-wait   12 s   (10 times as fast)",
            "     host 1 of 3",
            "",
            "i-0abc  draining   1.7.3                    2 in flight",
            "     deregistered                                 wait target-deregistered ###......... 15 s",
            "",
            "requests: 100 served (8.3/s), 1 failed (0.0/s), 7 in flight",
        ];
        assert_eq!(frame(&snapshot(), 120), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for line in frame(&snapshot(), 50) {
            assert!(line.chars().count() <= 50, "{line}");
        }
    }

    #[test]
    fn a_countdown_never_leaves_its_bar() {
        assert_eq!(bar(-3.0), "............");
        assert_eq!(bar(0.1), "#...........");
        assert_eq!(bar(1e9), "############");
    }

    #[test]
    fn counts_alone_are_no_change() {
        let before = snapshot();
        let mut now = snapshot();
        now.requests.served += 1;
        now.elapsed += 1.0;
        now.hosts[0].in_flight = 0;
        now.hosts[0].left = Some(14.0);
        assert_eq!(changes(&before, &now), Vec::<String>::new());
    }

    #[test]
    fn each_change_is_one_line() {
        let before = snapshot();
        let mut now = snapshot();
        now.hosts[0].target = "absent".to_owned();
        now.hosts[0].done.push("drained?".to_owned());
        now.hosts[0].doing.clear();
        now.hosts[0].left = None;
        let expected = [
            "deregister-wait     12.3 s  i-0abc: absent, runs 1.7.3  [100 served, 1 failed]",
            "deregister-wait     12.3 s  i-0abc: drained?  [100 served, 1 failed]",
        ];
        assert_eq!(changes(&before, &now), expected);
    }
}
