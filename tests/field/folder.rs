//! The folder of a run, which goes with it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bluegreen_local::world;

/// What the names of these folders begin with, before the id of the process.
const FOLDER: &str = "bluegreen-field-";

/// How often it is tried to remove the folder: a process that was killed may be about to leave it.
const REMOVALS: u32 = 50;

/// What passes between two such tries.
const PAUSE: Duration = Duration::from_millis(40);

/// A folder that is removed at the end, unless `FIELD_KEEP` is set.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it, and removes those of runs that were killed.
    pub(crate) fn new() -> io::Result<Self> {
        world::remove_leftovers_of(FOLDER);
        let path = env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if env::var_os("FIELD_KEEP").is_some() {
            eprintln!("kept: {}", self.0.display());
            return;
        }
        for _ in 0..REMOVALS {
            match fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
        eprintln!("{} is left behind", self.0.display());
    }
}
