//! A world for a release, and what it takes to hurt it.

mod apps;
mod ask;
mod controller;
mod front;
mod judge;
mod life;
mod manifest;
mod probe;
mod replica;
mod scene;
mod story;
mod world;

pub(crate) use apps::{Behaviour, ProcessChange};
pub(crate) use ask::condition;
pub(crate) use life::{Asked, Doom, Kill, Moment, Point};
pub(crate) use manifest::Manifest;
pub(crate) use replica::Replica;
pub(crate) use scene::{NAME, NEW, OLD, Scene, THIRD};
pub(crate) use story::{calls, changes};
pub(crate) use world::World;
