//! Every point at which a controller can be killed, each in a world of its own.

use std::{
    collections::BTreeMap,
    num::NonZero,
    panic::AssertUnwindSafe,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bluegreen::api::Phase;

use crate::harness::{Asked, Kill, Moment, Point};

use super::{
    case::{Case, Played},
    end::End,
};

/// How long before a case parts from the release that goes forward a kill begins to matter to it.
/// What comes earlier is a kill of that release.
const LEAD: Duration = Duration::from_secs(5);

/// Kills the controller at the points of a case, and compares the ends.
///
/// With `BLUEGREEN_KILLS=all` at every one, and with `BLUEGREEN_KILL="after write 3"` at that one
/// alone.
pub(super) fn every_kill(case: &Case) {
    let undisturbed = in_a_world_of_its_own(case, None).expect("see above");
    let asked = relevant(case, &undisturbed);
    let kills = match std::env::var("BLUEGREEN_KILL") {
        Ok(kill) => vec![kill.parse().unwrap()],
        Err(_) => chosen(&asked),
    };
    let began = Instant::now();
    println!("{}", counted(&asked, &kills));
    assert!(!kills.is_empty(), "there is nothing to kill");
    let wrong = tried(case, &kills, &undisturbed.end);
    println!("in {:.1} s", began.elapsed().as_secs_f64());
    let (count, all) = (wrong.len(), kills.len());
    assert!(count == 0, "{count} of {all} kills:\n{}", wrong.join("\n"));
}

/// What the controller asked for from where the case is one of its own.
fn relevant(case: &Case, undisturbed: &Played) -> Vec<Asked> {
    let mut asked = undisturbed.asked.clone();
    let came = || asked.iter().find(|asked| asked.what == "RegisterTargets");
    let parted = match (case.goal, undisturbed.turned) {
        (_, Some(turned)) => Some(turned),
        // Until the new version comes into service nobody can tell that it will fail.
        (Phase::RolledBack, None) => came().map(|asked| asked.at),
        (_, None) => None,
    };
    asked.retain(|asked| parted.is_none_or(|parted| asked.at >= parted - LEAD));
    asked
}

/// Of the looks that find nothing new, and of the Events, one in so many is killed by default.
const SHARE: usize = 16;

/// The moments at which a kill makes a difference for what changes something. A look that is
/// carried out after its caller's death is nothing at all.
const MOMENTS: [Moment; 3] = [Moment::Before, Moment::After, Moment::Late];

/// The kills of a case, all or the default ones.
///
/// By default every change in AWS is killed at every moment, and the writes of status and
/// finalizer at one moment each, in turn: most writes stand beside another change, and what is
/// after the one is before the other. So is the first look after each of them: those that follow
/// it find the same status, and differ in the time only.
fn chosen(asked: &[Asked]) -> Vec<Kill> {
    let all = std::env::var("BLUEGREEN_KILLS").is_ok_and(|which| which == "all");
    let (mut written, mut passed_over, mut changed) = (0, 0, true);
    let mut kills = Vec::new();
    for one in asked {
        let first = !one.changes() && std::mem::take(&mut changed);
        changed |= decides(one);
        let moments = match (one.changes(), all) {
            (true, true) => &MOMENTS[..],
            (false, true) => &MOMENTS[..2],
            (true, false) if matches!(one.point, Point::Call(_)) => &MOMENTS[..],
            (true, false) if decides(one) => {
                written += 1;
                let turn = written % MOMENTS.len();
                &MOMENTS[turn..=turn]
            }
            (false, false) if first => &MOMENTS[..1],
            (true | false, false) => {
                passed_over += 1;
                if passed_over % SHARE != 1 {
                    continue;
                }
                &MOMENTS[..1]
            }
        };
        kills.extend(moments.iter().map(|moment| Kill {
            moment: *moment,
            point: one.point,
        }));
    }
    kills
}

/// Whether anything that follows depends on a request. Not on a look, which changes nothing, nor
/// on an Event, which only people read.
fn decides(asked: &Asked) -> bool {
    asked.changes() && !asked.what.ends_with("events")
}

/// Tries them all on every core; says what went wrong.
fn tried(case: &Case, kills: &[Kill], undisturbed: &End) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(kill) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
            let difference = match in_a_world_of_its_own(case, Some(*kill)) {
                Some(played) => played.end.differs(undisturbed),
                None => "see above".to_owned(),
            };
            if !difference.is_empty() {
                let mut wrong = wrong.lock().unwrap();
                wrong.push(format!("BLUEGREEN_KILL=\"{kill}\":\n{difference}"));
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    wrong.into_inner().unwrap()
}

/// Plays a case on a runtime of its own, whose clock is its own too. Nothing where it panicked.
fn in_a_world_of_its_own(case: &Case, kill: Option<Kill>) -> Option<Played> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let play = || runtime.block_on(case.play(kill));
    std::panic::catch_unwind(AssertUnwindSafe(play)).ok()
}

fn counted(asked: &[Asked], kills: &[Kill]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for one in asked {
        *kinds.entry(&one.what).or_default() += 1;
    }
    let calls = |point: &Point| matches!(point, Point::Call(_));
    let all = asked.iter().filter(|one| calls(&one.point)).count();
    format!(
        "{} kills around {all} calls to AWS and {} writes to the API server: {kinds:?}",
        kills.len(),
        asked.len() - all,
    )
}
