//! Numbers that encode a judgement, each with its reason.

use bluegreen_api::Duration;

/// The longest time that a call to AWS may take from its beginning to its last possible effect:
/// the edge gives every operation this timeout. A request of an earlier process, or one whose
/// reply was lost, cannot land later. What cannot be taken back waits for two readings that far
/// apart, and an effect that did not show is repeated only after it.
pub const FENCE: Duration = Duration::from_secs(5);

/// How long after it was sent a command may not be listed yet.
pub const LISTED_LATEST: Duration = Duration::from_secs(30);

/// For so long after a target has ended a reading may still show it as registered: it was
/// deregistered long before, and a reading is not older than an operation timeout.
pub const ENDED_SHOWN_LATEST: Duration = Duration::from_secs(10);

/// How long past its computed end a drain may stay unproven before `drain.onTimeout` applies.
/// ELB ends a delay within seconds; a minute leaves room for throttled readings.
pub const DRAIN_MARGIN: Duration = Duration::from_secs(60);

/// A shorter deregistration delay is pointed out where `drain.longestRequest` is not given: browsers and
/// proxies wait for an answer far longer than this.
pub const DELAY_USUAL: Duration = Duration::from_secs(15);

/// What nodes of an Application Load Balancer get to learn of a change when `settle` is `Auto`.
/// Users measured 5 to 17 s, with a tail towards 40 s.
pub const SETTLE_APPLICATION: Duration = Duration::from_secs(45);

/// The same for a Network Load Balancer: about 120 s were measured, and AWS speaks of minutes.
pub const SETTLE_NETWORK: Duration = Duration::from_secs(180);

/// The shortest time between two looks at something whose end cannot be computed: see
/// [`COMMAND_SHARE`].
pub const LOOK_SHORTEST: Duration = Duration::from_millis(250);

/// The longest time between two looks at something that is waited for.
pub const LOOK_LONGEST: Duration = Duration::from_secs(5);

/// Between two looks at a command passes this share of the time waited so far (1/16): its
/// end is noticed about 3 % late on average, and a long one costs few calls.
pub const COMMAND_SHARE: u64 = 16;

/// The same for health and for the last request in flight, a thirtieth.
pub const HEALTH_SHARE: u64 = 30;

/// The shortest time between two looks at a target that is to become healthy. It does so anywhere in
/// the ten or twenty seconds that the nodes take to learn of it and to check it: that is noticed a
/// quarter of a second late on average, for some thirty readings of the target group.
pub const LOOK_HEALTH: Duration = Duration::from_millis(500);

/// Where hosts are recreated one after the other each of them costs as many calls, and this much less
/// often is looked at each.
pub const IN_TURN: (u64, u64) = (3, 2);

/// Between two looks at a target of which the load balancer says that it is still being registered: its
/// checks have not begun.
pub const LOOK_REGISTERING: Duration = Duration::from_millis(1500);

/// How often the target groups are read while something that could serve is withdrawn: soon enough
/// to put it back before people notice that what replaced it has died.
pub const LOOK_WITHDRAWN: Duration = Duration::from_secs(5);

/// The same at the most, where the account's call budget is nearly used up.
pub const LOOK_WITHDRAWN_LONGEST: Duration = Duration::from_secs(30);

/// How often a release that a person must mend is looked at.
pub const LOOK_STALLED: Duration = Duration::from_secs(15);

/// How soon a reading that failed is tried again.
pub const LOOK_UNKNOWN: Duration = Duration::from_secs(2);

/// AWS unreadable for so long, and what was waited for is waited for anew: nobody could have seen
/// it. A shorter time is lost in any deadline worth setting, and a reading that fails now and then
/// must not put a deadline off for ever.
pub const BLIND: Duration = Duration::from_secs(30);

/// How often a release at rest looks whether it still serves: its conditions are never older.
pub const LOOK_IDLE: Duration = Duration::from_secs(60);

/// How often a release at rest looks at a target that is not healthy.
pub const LOOK_UNHEALTHY: Duration = Duration::from_secs(15);

/// A target that serves a release at rest and is not healthy for longer needs a person.
pub const UNHEALTHY_STALLS: Duration = Duration::from_secs(60);

/// How old the descriptions of target groups and of the fleet may be for a release at rest: they
/// change seldom, and only the health of the targets says whether it serves.
pub const OLD_AT_REST: Duration = Duration::from_secs(10 * 60);

/// How old a reading of the target groups may be while nothing is waited for that they show: with the
/// looks in between they are read every [`LOOK_WITHDRAWN`].
pub const OLD_MEANWHILE: Duration = Duration::from_secs(4);

/// An observation that began longer ago has a kept reading in it, or one that was slow.
pub const READING_TAKES: Duration = Duration::from_secs(1);

/// A command that was sent less long ago has not reached its host.
pub const SENT_JUST_NOW: Duration = Duration::from_millis(250);

/// How often Systems Manager is asked of a start while the port of the process is watched: the
/// command may have ended long before the process listens.
pub const LOOK_STARTING: Duration = Duration::from_millis(600);

/// How old the reading of the fleet may be for a release in progress: an instance that stops shows
/// at once in the health of its targets.
pub const FLEET_UNDER_WAY: Duration = Duration::from_secs(40);

/// How old the descriptions of target groups may be for a release in progress that nothing holds up:
/// what they say was looked at before it began, and proofs rest on the readings of the targets.
pub const DESCRIPTIONS_UNDER_WAY: Duration = Duration::from_secs(2 * 60);

/// How often a release in progress looks at the least: its conditions are never older.
pub const LOOK_PROGRESS: Duration = Duration::from_secs(15);

/// How long after a command that was not delivered the next is sent: an agent that was restarted
/// is back within seconds.
pub const RESEND: Duration = Duration::from_secs(10);

/// The longest pause after failures of effects in a row.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(60);

/// A probe is asked so many times in a quiet period.
pub const QUIET_READINGS: u64 = 4;

/// More targets than this are refused: the record of one takes about half a kilobyte, and status
/// is bounded to 256 KiB.
pub const TARGETS_MOST: usize = 500;

/// The drains and stops that the timings rest on.
pub const TIMINGS_MOST: usize = 100;
