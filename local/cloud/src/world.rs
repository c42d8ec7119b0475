//! Everything that is true in the simulated cloud, and the context in which a call sees it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    config::{Config, Span},
    ec2::Ec2,
    elb::Elb,
    events::{EventKind, EventLog},
    faults::Faults,
    hosts::{Halt, Host},
    ledger::Ledger,
    ssm::Ssm,
    sts::Sts,
    throttle::Throttle,
};

/// What reads may see an old version of.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) elb: Elb,
    pub(crate) ec2: Ec2,
}

/// All state.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) live: View,
    stale: Option<(Arc<View>, Timestamp)>,
    pub(crate) ssm: Ssm,
    pub(crate) sts: Sts,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) ledger: Ledger,
    pub(crate) events: EventLog,
    pub(crate) random: StdRng,
    /// Requests so far; the source of request ids.
    pub(crate) requests: u64,
    /// What is to be done outside once the state is no longer locked.
    pub(crate) effects: Vec<Effect>,
}

/// Something to do outside the state.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// An instance runs now.
    Boot(Host),
    /// An instance stops or is gone.
    Halt(Host, Halt),
    /// Processes on an instance are killed: those of a unit, or all.
    Kill(Host, Option<String>),
    /// A command is to be carried out.
    Send(String),
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            live: View::default(),
            stale: None,
            ssm: Ssm::default(),
            sts: Sts::default(),
            throttle: Throttle::default(),
            faults: Faults::default(),
            ledger: Ledger::default(),
            events: EventLog::default(),
            random: StdRng::seed_from_u64(seed),
            requests: 0,
            effects: Vec::new(),
        }
    }

    /// Lets everything happen that is due by now. Returns whether anything did.
    pub(crate) fn advance(&mut self, now: Timestamp, config: &Config) -> bool {
        let ec2 = crate::ec2::advance(self, now, config);
        let elb = crate::elb::advance(self, now, config);
        ec2 || elb
    }

    /// What was changed until now is old: reads show it.
    pub(crate) fn forget_stale(&mut self) {
        self.stale = None;
    }

    /// When something is due next.
    pub(crate) fn next_due(&self, now: Timestamp, config: &Config) -> Option<Timestamp> {
        let ec2 = crate::ec2::next_due(&self.live.ec2, config);
        let elb = crate::elb::next_due(&self.live, now, config);
        ec2.into_iter().chain(elb).min()
    }
}

/// One call's view of the world.
pub(crate) struct Ctx<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) config: &'a Config,
    pub(crate) now: Timestamp,
    /// The caller's access key id.
    pub(crate) access_key: &'a str,
    stale: Option<Arc<View>>,
    touched: Vec<String>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(
        world: &'a mut World,
        config: &'a Config,
        now: Timestamp,
        access_key: &'a str,
    ) -> Self {
        Self {
            world,
            config,
            now,
            access_key,
            stale: None,
            touched: Vec::new(),
        }
    }

    /// From here on reads may be answered from before the last change.
    pub(crate) fn allow_stale_reads(&mut self) {
        let valid = self.world.stale.as_ref();
        let valid = valid.filter(|(_, until)| self.now < *until);
        // Half of the reads in that time are fresh: real readers reach different replicas, so
        // that a fresh read may be followed by a stale one.
        let old = valid.map(|(view, _)| Arc::clone(view));
        self.stale = old.filter(|_| self.chance(0.5));
        if self.stale.is_some() {
            self.event(EventKind::StaleRead, self.access_key.to_owned(), "");
        }
    }

    /// Runs a change; now and then what was before it stays visible for a while.
    pub(crate) fn change<R, E>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<R, E>,
    ) -> Result<R, E> {
        let probability = self.config.hostility.stale_probability;
        let before = (probability > 0.0 && self.chance(probability))
            .then(|| Arc::new(self.world.live.clone()));
        let result = run(self)?;
        if let Some(before) = before {
            let until = self.after(self.config.hostility.stale_for);
            self.world.stale = Some((before, until));
        }
        Ok(result)
    }

    /// What a read is answered from.
    pub(crate) fn view(&self) -> &View {
        self.stale.as_deref().unwrap_or(&self.world.live)
    }

    pub(crate) fn elb(&mut self) -> &mut Elb {
        &mut self.world.live.elb
    }

    pub(crate) fn ec2(&mut self) -> &mut Ec2 {
        &mut self.world.live.ec2
    }

    /// Notes a resource that IAM would ask about.
    pub(crate) fn touch(&mut self, arn: impl Into<String>) {
        let arn = arn.into();
        if !self.touched.contains(&arn) {
            self.touched.push(arn);
        }
    }

    pub(crate) fn into_touched(self) -> Vec<String> {
        self.touched
    }

    pub(crate) fn event(
        &mut self,
        kind: EventKind,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.world.events.record(self.now, kind, subject, detail);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.world.effects.push(effect);
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.world.random.random_bool(probability.clamp(0.0, 1.0))
    }

    /// Now and a duration drawn from the span.
    pub(crate) fn after(&mut self, span: Span) -> Timestamp {
        later(self.now, span.draw(&mut self.world.random))
    }

    /// So many random hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let digit = |_| {
            let value: u32 = self.world.random.random_range(0..16);
            char::from_digit(value, 16).expect("a number below 16 is a hexadecimal digit")
        };
        (0..digits).map(digit).collect()
    }

    /// A random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let parts = [8, 4, 4, 4, 12].map(|digits| self.hex(digits));
        parts.join("-")
    }

    /// An ARN of this region and account.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        let Config {
            region, account, ..
        } = self.config;
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    }
}

/// A later time. Durations here are far below the range of timestamps.
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now + SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)
}

/// A time as the XML services write it.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
