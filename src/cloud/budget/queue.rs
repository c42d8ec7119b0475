//! Whose turn it is.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::oneshot;

use crate::cloud::{Caller, Urgency};

/// Each so many turns, one goes to the least urgent class that waits: it is slow while others are
/// in a hurry, and never stands still.
const LEAST_URGENT_EACH: u32 = 8;

/// Callers that wait for their turn: the more urgent class first, and in a class the namespaces by
/// turns. A caller that went away loses its place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    classes: [Class; Urgency::COUNT],
    turns: u32,
}

/// The namespaces that wait, in the order of their turns.
#[derive(Debug, Default)]
struct Class {
    namespaces: VecDeque<(Arc<str>, VecDeque<oneshot::Sender<()>>)>,
}

impl Queue {
    /// How many turns come before that of a caller who joins now, those of more urgent callers who
    /// join later aside.
    pub(super) fn ahead(&mut self, caller: &Caller) -> usize {
        let own = caller.urgency as usize;
        let before: usize = self.classes[..own].iter_mut().map(Class::waiting).sum();
        before + self.classes[own].ahead(&caller.namespace)
    }

    /// A place in the queue; it answers when it is the caller's turn.
    pub(super) fn join(&mut self, caller: &Caller) -> oneshot::Receiver<()> {
        let (turn, place) = oneshot::channel();
        self.classes[caller.urgency as usize].join(&caller.namespace, turn);
        place
    }

    /// Gives the next caller its turn. `false` where none waits.
    pub(super) fn serve(&mut self) -> bool {
        let favour = self.turns % LEAST_URGENT_EACH == LEAST_URGENT_EACH - 1;
        let mut order = [0, 1, 2];
        if favour {
            order.reverse();
        }
        let served = order.into_iter().any(|class| self.classes[class].serve());
        if served {
            self.turns = self.turns.wrapping_add(1);
        }
        served
    }
}

impl Class {
    /// Forgets the callers that went away.
    fn tidy(&mut self) {
        for (_, callers) in &mut self.namespaces {
            callers.retain(|turn| !turn.is_closed());
        }
        self.namespaces.retain(|(_, callers)| !callers.is_empty());
    }

    fn waiting(&mut self) -> usize {
        self.tidy();
        self.namespaces
            .iter()
            .map(|(_, callers)| callers.len())
            .sum()
    }

    fn ahead(&mut self, namespace: &str) -> usize {
        self.tidy();
        let of = |wanted: &str| {
            let mut all = self.namespaces.iter();
            all.find(|(name, _)| &**name == wanted)
                .map_or(0, |(_, callers)| callers.len())
        };
        let own = of(namespace);
        let others = self.namespaces.iter();
        let others = others.filter(|(name, _)| &**name != namespace);
        own + others
            .map(|(_, callers)| callers.len().min(own + 1))
            .sum::<usize>()
    }

    fn join(&mut self, namespace: &Arc<str>, turn: oneshot::Sender<()>) {
        let mut all = self.namespaces.iter_mut();
        match all.find(|(name, _)| name == namespace) {
            Some((_, callers)) => callers.push_back(turn),
            None => {
                let callers = VecDeque::from([turn]);
                self.namespaces.push_back((Arc::clone(namespace), callers));
            }
        }
    }

    fn serve(&mut self) -> bool {
        while let Some((namespace, mut callers)) = self.namespaces.pop_front() {
            while let Some(turn) = callers.pop_front() {
                if turn.send(()).is_ok() {
                    if !callers.is_empty() {
                        self.namespaces.push_back((namespace, callers));
                    }
                    return true;
                }
            }
        }
        false
    }
}
