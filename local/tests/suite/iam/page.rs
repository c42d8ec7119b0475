//! Reads the policies out of `docs/aws-iam.md`.

use std::{fs, path::Path};

use serde_json::Value;

/// The section whose policies say who may take the role, and not what the role may do.
pub(super) const TRUST: &str = "How the controller gets the role";

/// The page as it is.
pub(super) fn text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("../docs/aws-iam.md")).unwrap()
}

/// The JSON on the page, each with the section that it stands in.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let (mut section, mut open) = (String::new(), false);
    for line in page.lines() {
        match line {
            "```json" => {
                blocks.push((section.clone(), String::new()));
                open = true;
            }
            "```" => open = false,
            _ if open => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.clone_into(&mut section);
                }
            }
        }
    }
    blocks
}

/// The sections that have JSON, in the order of the page.
pub(super) fn sections_with_policies(page: &str) -> Vec<String> {
    let mut sections: Vec<String> = blocks(page)
        .into_iter()
        .map(|(section, _)| section)
        .collect();
    sections.dedup();
    sections
}

/// The statements of these sections together, for an account and a region.
pub(super) fn statements(page: &str, sections: &[&str], account: &str, region: &str) -> Vec<Value> {
    let blocks = blocks(page);
    let mut statements = Vec::new();
    for section in sections {
        let mut found = blocks.iter().filter(|(name, _)| name == section);
        let (Some((_, block)), None) = (found.next(), found.next()) else {
            panic!("docs/aws-iam.md has not one policy in the section {section:?}");
        };
        let block = block.replace("ACCOUNT", account).replace("REGION", region);
        let value: Value = serde_json::from_str(&block).unwrap();
        // A whole policy, or statements to be added to one.
        let list = value.get("Statement").unwrap_or(&value);
        statements.extend(list.as_array().unwrap().iter().cloned());
    }
    statements
}
