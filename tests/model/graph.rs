//! The graph that the walk has found, and its states in words.

use super::world::World;

/// The last node from which none of the goals can be reached.
pub(super) fn cannot_reach<'e>(
    nodes: usize,
    goals: Vec<u32>,
    edges: impl Iterator<Item = &'e (u32, u32)>,
) -> Option<u32> {
    let mut into: Vec<Vec<u32>> = vec![Vec::new(); nodes];
    for (from, to) in edges {
        into[*to as usize].push(*from);
    }
    let mut safe = vec![false; nodes];
    let mut open = goals;
    for goal in &open {
        safe[*goal as usize] = true;
    }
    while let Some(index) = open.pop() {
        for from in &into[index as usize] {
            if !safe[*from as usize] {
                safe[*from as usize] = true;
                open.push(*from);
            }
        }
    }
    safe.iter()
        .rposition(|safe| !safe)
        .map(|index| u32::try_from(index).expect("fewer than 2^32 states"))
}

/// A world in one line.
pub(super) fn tell(world: &World) -> String {
    let slots: Vec<String> = (0..world.slots.len())
        .map(|index| {
            let slot = &world.slots[index];
            format!(
                "{}: v{:?} {:?}{}{}{}",
                world.target(index),
                slot.process,
                slot.regs,
                if slot.in_flight { " in-flight" } else { "" },
                if slot.lingering > 0 { " lingering" } else { "" },
                if slot.died.is_some() { " died" } else { "" },
            )
        })
        .collect();
    let open = world.commands.iter().filter(|sent| !sent.done).count();
    format!("{} | {open} commands on their way", slots.join(" | "))
}
