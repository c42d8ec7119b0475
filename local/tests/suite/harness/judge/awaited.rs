//! What a tool that waits for a release by the rules of kstatus makes of a status.

use bluegreen::{api::BlueGreenReleaseStatus, plan::Release};
use serde_json::json;

use crate::gitops::kstatus::{self, Status};

/// What in a status would lead such a tool astray: `docs/gitops.md` says what it is to find.
pub(super) fn astray(release: &Release, status: &BlueGreenReleaseStatus) -> Option<String> {
    let holds = |type_: &str| {
        let mut conditions = status.conditions.iter();
        conditions.any(|one| one.type_ == type_ && one.status == "True")
    };
    let (stalled, reconciling) = (holds("Stalled"), holds("Reconciling"));
    if stalled && reconciling {
        return Some("it is stalled and goes on, both at once".to_owned());
    }
    let object = json!({
        // One that is deleted is terminating, whatever its status says.
        "metadata": {"generation": release.generation},
        "status": {
            "observedGeneration": status.observed_generation,
            "conditions": status.conditions,
        },
    });
    let verdict = kstatus::verdict(&object);
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    let done = live == Some(&release.spec.version) && status.course.is_none();
    if verdict == Status::Current && !done {
        return Some(format!("it is current, and {live:?} is live, or not alone"));
    }
    if (verdict == Status::Failed) != stalled {
        return Some(format!("it is {verdict:?}, and stalled is {stalled}"));
    }
    None
}
