//! Where the traffic comes from.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How traffic reaches the application. Exactly one kind is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// Blue and green share target groups: green targets are registered, then blue targets are
    /// deregistered.
    pub registration: RegistrationTraffic,
}

/// Traffic that is moved by registering and deregistering targets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrationTraffic {
    /// The target groups, 1 to 10. Every target of the application is registered in all of them,
    /// and counts as drained only when it is drained in all of them. They must exist, be of
    /// target type `instance`, and be used by a load balancer.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(
        validation = Rule::new("self.all(g, has(g.arn) != has(g.name))").message("give each target group by its arn or by its name: one of the two"),
        validation = Rule::new("self.all(g, self.filter(o, (has(g.arn) && has(o.arn) && g.arn == o.arn) || (has(g.name) && has(o.name) && g.name == o.name)).size() == 1)").message("a target group is listed twice; list each once"),
    )]
    pub target_groups: Vec<TargetGroupRef>,
}

/// A target group, by its ARN or by its name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, KubeSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetGroupRef {
    /// The ARN, as in
    /// `arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop/0123456789abcdef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(
            pattern = r"^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]+$"
        )
    )]
    pub arn: Option<String>,

    /// The name, unique in the account and region: 1 to 32 letters, digits and hyphens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    pub name: Option<String>,
}

impl TargetGroupRef {
    /// What a person would call it: its name. The last but one part of an ARN is the name.
    #[must_use]
    pub fn name(&self) -> &str {
        match (&self.name, &self.arn) {
            (Some(name), _) => name,
            (None, Some(arn)) => arn.split('/').nth(1).unwrap_or(arn),
            (None, None) => "",
        }
    }
}
