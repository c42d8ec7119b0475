//! Ends what runs on a host, wherever it went.
//!
//! Everything that is started on a host has the host's directory in its environment, and its
//! children inherit that. A noted id of a process or a group would not do: the group may have ended
//! and its number may be somebody else's by now, and a process that made a session of its own is in
//! no noted group.

use std::{collections::HashSet, fs, path::Path};

use rustix::process::{Pid, Signal, getpgid, getpgrp, kill_process_group};

/// The variable that holds the host's directory.
pub(super) const ROOT: &str = "BLUEGREEN_ROOT";

/// A killed group starts nothing more, so a second look finds only what left its group during the
/// first one. The third is for a host that does not want to end.
const LOOKS: u32 = 3;

/// Kills the groups of all processes that were started on the host with this directory.
pub(super) fn sweep(directory: &Path) {
    for _ in 0..LOOKS {
        let groups = groups(directory);
        if groups.is_empty() {
            return;
        }
        for group in groups {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// Whether a process was started on the host with this directory: its noted id may be somebody
/// else's by now.
pub(super) fn is_of(directory: &Path, process: Pid) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", process.as_raw_nonzero()));
    environment.is_ok_and(|environment| has_mark(&environment, directory))
}

fn has_mark(environment: &[u8], directory: &Path) -> bool {
    let mark = format!("{ROOT}={}", directory.display()).into_bytes();
    environment.split(|byte| *byte == 0).any(|one| one == mark)
}

fn groups(directory: &Path) -> HashSet<Pid> {
    let listed = fs::read_dir("/proc").into_iter().flatten();
    let theirs = listed.filter_map(|entry| {
        let entry = entry.ok()?;
        let id = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let marked = has_mark(&environment, directory);
        getpgid(Pid::from_raw(id)).ok().filter(|_| marked)
    });
    // No shell of a host is in this process's group, and this process must not end itself.
    theirs.filter(|group| *group != getpgrp()).collect()
}
