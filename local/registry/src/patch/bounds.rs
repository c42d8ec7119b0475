//! What a JSON patch may cost. Each step is looked at before it is taken: a few steps that copy
//! what the last one has made would else fill the memory.

use std::io::{self, Write};

use json_patch::PatchOperation;
use serde_json::Value;

use crate::{depth, status::ApiError};

/// The most steps of a patch: as many as API servers take.
const STEPS_MOST: usize = 10_000;

/// How many bytes the copies of a patch may add: as many as API servers allow.
const COPIED_MOST: usize = 3 * 1024 * 1024;

/// What the steps of a patch have cost so far.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    copied: usize,
}

impl Bounds {
    /// The bounds for a patch of so many steps.
    pub(super) fn new(steps: usize) -> Result<Self, ApiError> {
        if steps > STEPS_MOST {
            return Err(ApiError::too_large_because(&format!(
                "The allowed maximum operations in a JSON patch is {STEPS_MOST}, got {steps}"
            )));
        }
        Ok(Self::default())
    }

    /// Refuses a step that would nest too deeply, or that copies too much together with the steps
    /// before it. A step that does not fit the object is not refused here.
    pub(super) fn check(&mut self, step: &PatchOperation, object: &Value) -> Result<(), ApiError> {
        let (path, value) = match step {
            PatchOperation::Add(add) => (&add.path, Some(&add.value)),
            PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
            PatchOperation::Move(from) => (&from.path, from.from.resolve(object).ok()),
            PatchOperation::Copy(from) => (&from.path, from.from.resolve(object).ok()),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
        };
        let Some(value) = value else {
            return Ok(());
        };
        depth::check(path.tokens().count() + depth::depth(value))?;
        if matches!(step, PatchOperation::Copy(_)) {
            self.copied += size(value);
            if self.copied > COPIED_MOST {
                return Err(ApiError::too_large_because(&format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {}, \
                     exceeding the limit {COPIED_MOST}",
                    self.copied
                )));
            }
        }
        Ok(())
    }
}

/// The bytes of a value as JSON.
pub(crate) fn size(value: &Value) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting never fails, and a value of JSON can be written as JSON.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
